package claude

import (
	"slices"
	"testing"
)

func TestOffered(t *testing.T) {
	for offers, want := range map[string][]string{
		``:     nil,
		`[]`:   nil,
		`null`: nil,
		`[{"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"npm run *"},{"toolName":"Edit"}],"behavior":"allow","destination":"localSettings"}]`: {"Bash(npm run *)", "Edit"},
		`[{"type":"addDirectories","directories":["/a","/b c"],"destination":"session"},{"type":"setMode","mode":"acceptEdits","destination":"session"}]`:    {"directory /a", "directory /b c", "permission mode acceptEdits"},
		`[{"type":"setMode","mode":"bypassPermissions","destination":"session"}]`:                                                                            nil,
		`[{"type":"addRules","rules":[{"toolName":"Bash"}],"behavior":"deny","destination":"session"},{"type":"removeRules","rules":[{"toolName":"A"}]}]`:    nil,
		`[{"type":7}]`: nil,
	} {
		r := Request{Offers: []byte(offers)}
		if got := r.Offered(); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", offers, got, want)
		}
	}
}
