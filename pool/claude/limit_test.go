package claude

import (
	"bytes"
	"testing"
	"time"

	"iris/pool/turn"
)

// The result of a limited turn says which limit it was, when that resets, how much of the
// limits is used, and whether anything was done in the turn.
func TestLimitedTurn(t *testing.T) {
	const (
		replay332 = `"isReplay":true}`
		windows   = `"isUsingOverage":false,"unifiedWindows":{"seven_day":{"utilization":0.25,"resetsAt":1796000000},"five_hour":{"utilization":1,"resetsAt":1795897115}}}`
		said      = `{"type":"assistant","message":{"model":"m","content":[{"type":"text","text":"so far"}]},"parent_tool_use_id":null}`
		called    = `{"type":"assistant","message":{"model":"m","content":[{"type":"tool_use","id":"t","name":"Bash","input":{}}]},"parent_tool_use_id":null}`
		below     = `{"type":"assistant","message":{"model":"m","content":[{"type":"tool_use","id":"t","name":"Bash","input":{}}]},"parent_tool_use_id":"x"}`
	)
	lines := bytes.Replace(recorded(t, "2.1.332", "limit"), []byte(`"isUsingOverage":false}`), []byte(windows), 1)
	for _, c := range []struct {
		name, line string
		nothing    bool
	}{{"nothing", "", true}, {"a text", said, false}, {"a tool call", called, false}, {"a tool call of a subagent", below, false}} {
		r := replay(bytes.Replace(lines, []byte(replay332), []byte(replay332+"\n"+c.line), 1))
		if r == nil || r.Outcome != turn.RateLimited || r.NothingDone != c.nothing {
			t.Errorf("%s: got %+v", c.name, r)
			continue
		}
		if r.Limit != "five-hour limit" || r.Resets.Unix() != 1795897115 {
			t.Errorf("%s: the limit is %q until %v", c.name, r.Limit, r.Resets)
		}
		if w := r.Windows; len(w) != 2 || w[0].Name != "five-hour limit" || w[1] != (turn.Window{Name: "seven-day limit", Utilization: 0.25, Resets: time.Unix(1796000000, 0)}) {
			t.Errorf("%s: windows %+v", c.name, r.Windows)
		}
	}
}

// An exhausted credit is a limit of the account, and not a missing login.
func TestExhaustedCreditIsALimit(t *testing.T) {
	lines := bytes.ReplaceAll(recorded(t, "2.1.332", "status-401"), []byte("Failed to authenticate. API Error: 401 stub error 401"), []byte("Credit balance is too low"))
	if r := replay(lines); r == nil || r.Outcome != turn.RateLimited || r.Limit != "credit exhausted" || !r.NothingDone || !r.Resets.IsZero() {
		t.Errorf("got %+v", r)
	}
}
