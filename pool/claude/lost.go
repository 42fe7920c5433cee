package claude

import (
	"encoding/json"

	"iris/pool"
)

// streamClosed is the result of a tool for which the agent waited for permission
// when its input ended: it has denied it by itself.
const streamClosed = "Tool permission request failed: Error: Tool permission stream closed before response received"

// lostAsks are the tool calls, by their ids, that nobody could decide about.
type lostAsks map[string]bool

// note looks for such calls in a line in the user's name.
func (l *lostAsks) note(line []byte) {
	var m struct {
		Message struct {
			Content []struct {
				Type    string          `json:"type"`
				ID      string          `json:"tool_use_id"`
				Content json.RawMessage `json:"content"`
				IsError bool            `json:"is_error"`
			} `json:"content"`
		} `json:"message"`
	}
	if json.Unmarshal(line, &m) != nil {
		return
	}
	for _, c := range m.Message.Content {
		said, _ := unquote(c.Content)
		if c.Type != "tool_result" || !c.IsError || said != streamClosed {
			continue
		}
		if *l == nil {
			*l = lostAsks{}
		}
		(*l)[c.ID] = true
	}
}

// explain says of a turn that ended with a denial whether that was nobody's wish.
func (l lostAsks) explain(r *pool.Result, denials []denial) {
	if r.Outcome != pool.OutcomeDenied {
		return
	}
	for _, d := range denials {
		if l[d.ID] {
			r.Reason = pool.ReasonApprovalLost
			r.Err = "denied: " + d.Tool + " (approval lost: the daemon ended while it was pending)"
			return
		}
	}
}
