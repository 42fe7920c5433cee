package journal

import (
	"errors"
	"testing"

	"iris/pool/turn"
)

// A key stands for one message: the same text with other options, or as blocks, is another.
func TestAKeyIsOfOneVariant(t *testing.T) {
	j, _ := tempJournal(t)
	options := []Options{
		{Key: "k"}, {Key: "k", Blocks: true}, {Key: "k", Variant: &turn.Variant{Model: "a"}}, {Key: "k", Variant: &turn.Variant{Model: "b"}},
	}
	for i, first := range options {
		n := message(0)
		n.Options = first
		n.Options.Key += n.ID + string(rune('0'+i))
		n.ID += string(rune('0' + i))
		mustAccept(t, j, n)
		for k, o := range options {
			o.Key = n.Options.Key
			again := n
			again.Options = o
			got, err := j.Find(again)
			if conflict, is := errors.AsType[*ConflictError](err); (i == k) != got.Existing || (i != k) != is || is && conflict.ID != n.ID {
				t.Errorf("%+v after %+v: got %+v, %v", o, first, got, err)
			}
		}
	}
	if _, err := j.Find(New{ID: "../../x", Team: "api"}); err == nil {
		t.Error("a bad id was looked for")
	}
}

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
