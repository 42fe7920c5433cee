package claude

import (
	"encoding/json"
	"slices"
	"strings"

	"iris/pool/turn"
)

// streamClosed is in the result of a tool whose permission request was open when the
// agent's input ended: the agent denied the tool by itself. The words around it
// differ between versions.
const streamClosed = "Tool permission stream closed before response received"

// askFailed begins the result of every tool for which the request for permission
// failed.
const askFailed = "Tool permission request failed: "

// nobodyToAsk reports whether the agent could not ask for permission, since its input
// had ended before.
func nobodyToAsk(said string) bool {
	return strings.HasPrefix(said, askFailed) && strings.HasSuffix(said, "Error: Stream closed")
}

// abandonedRequests holds the ids of tool calls that nobody could decide about.
type abandonedRequests map[string]bool

// note looks for such calls in a user line.
func (l *abandonedRequests) note(line []byte) {
	for _, c := range toolResults(line) {
		if !c.IsError || !wasLost(resultText(c.Content)) {
			continue
		}
		if *l == nil {
			*l = abandonedRequests{}
		}
		(*l)[c.ID] = true
	}
}

// toolResult is the result of a tool in a user line.
type toolResult struct {
	Type    string          `json:"type"`
	ID      string          `json:"tool_use_id"`
	Content json.RawMessage `json:"content"`
	IsError bool            `json:"is_error"`
}

// toolResults returns the results of tools in a user line.
func toolResults(line []byte) []toolResult {
	var m struct {
		Message struct {
			Content []toolResult `json:"content"`
		} `json:"message"`
	}
	if json.Unmarshal(line, &m) != nil {
		return nil
	}
	return slices.DeleteFunc(m.Message.Content, func(c toolResult) bool { return c.Type != "tool_result" })
}

// wasLost reports whether a denied tool was denied because nobody could decide about
// it.
func wasLost(said string) bool { return strings.Contains(said, streamClosed) || nobodyToAsk(said) }

// resultText returns the text in the result of a tool: a string or a list of blocks.
func resultText(content json.RawMessage) string {
	var text string
	if json.Unmarshal(content, &text) == nil {
		return text
	}
	var blocks []struct {
		Text string `json:"text"`
	}
	decode(content, &blocks)
	var said []string
	for _, b := range blocks {
		said = append(said, b.Text)
	}
	return strings.Join(said, "\n")
}

// explain marks a turn that ended with a denial which nobody decided.
func (l abandonedRequests) explain(r *turn.Result, denials []denial) {
	if r.Outcome != turn.Denied {
		return
	}
	for _, d := range denials {
		if l[d.ID] {
			r.Reason = turn.ApprovalLost
			r.Err = "denied: " + d.Tool + " (approval lost: the daemon ended while it was pending)"
			return
		}
	}
}
