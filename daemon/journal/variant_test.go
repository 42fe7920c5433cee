package journal

import (
	"testing"

	"iris/pool/turn"
)

// Keys on record were made with these texts.
func TestIdentityOfAVariantStays(t *testing.T) {
	v := turn.Variant{Model: "haiku", PermissionMode: "plan", MaxTurns: 7, AppendSystemPrompt: "a\n\"b`", JSONSchema: "{}"}
	const then = "journal.Variant{Model:\"haiku\", PermissionMode:\"plan\", MaxTurns:7, AppendSystemPrompt:\"a\\n\\\"b`\", JSONSchema:\"{}\"}"
	if got := identityOf(v); got != then {
		t.Errorf("got %s, want %s", got, then)
	}
	all := map[string]bool{then: true}
	for _, w := range []turn.Variant{{}, {Effort: "low"}, {AllowedTools: "low"}, {Effort: "low", AllowedTools: "low"}} {
		if all[identityOf(w)] {
			t.Errorf("%+v is as another one", w)
		}
		all[identityOf(w)] = true
	}
}
