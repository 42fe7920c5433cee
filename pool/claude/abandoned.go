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

// note looks for such calls in a user line. It returns those whose first line says so:
// there, a tool that has run and printed the words has its exit code.
func (l *abandonedRequests) note(line []byte) (sure []string) {
	for _, c := range toolResults(line) {
		said := resultText(c.Content)
		if !c.IsError || !wasLost(said) {
			continue
		}
		if *l == nil {
			*l = abandonedRequests{}
		}
		(*l)[c.ID] = true
		if first, _, _ := strings.Cut(said, "\n"); wasLost(first) {
			sure = append(sure, c.ID)
		}
	}
	return sure
}

// lost records the calls in a user line that nobody could decide about. Those of the
// message's subagents are kept for finish: if a subagent works in the background, no
// line says that its call was denied.
func (a *turnNotes) lost(line []byte) {
	sure := a.Lost.note(line)
	var m struct {
		Call  string `json:"parent_tool_use_id"`
		Agent string `json:"agent_id"` // absent in older versions
	}
	if decode(line, &m); a.Message != nil && m.Call != "" && a.worksForMessage(m.Agent, m.Call) {
		a.Message.Lost = append(a.Message.Lost, sure...)
	}
}

// calls returns tool calls of subagents as denials. What they were is read again from
// the spool, since it is seldom needed.
func (a *turnNotes) calls(ids []string) []denial {
	var all []denial
	for _, id := range ids {
		all = append(all, denial{ID: id, Tool: "unknown tool"})
	}
	if len(all) == 0 || a.spool == nil {
		return all
	}
	r := lineReader{f: a.spool, max: maxLine}
	r.all(sink{
		line: func(line []byte) { describe(all, line) },
		long: func(head, tail []byte, _ int64) bool { return ofSubagent(head) || ofSubagent(tail) },
		over: func([]byte, []byte, int64) {},
	})
	return all
}

// describe completes the calls that are in an assistant line of a subagent.
func describe(calls []denial, line []byte) {
	if typ, _, _ := route(line); typ != "assistant" || !ofSubagent(line) {
		return
	}
	var m struct {
		Message struct {
			Content []deferredTool `json:"content"`
		} `json:"message"`
	}
	decode(line, &m)
	for _, c := range m.Message.Content {
		if i := slices.IndexFunc(calls, func(d denial) bool { return d.ID == c.ID }); i >= 0 && c.Tool != "" {
			calls[i] = denial(c)
		}
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
