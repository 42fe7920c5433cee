package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"iris/ipc"
)

// A textView shows the text of an answer as it is written, block by block, and
// on a terminal between them, in one line, what the agent does.
type textView struct {
	out    *printer
	tail   *lastByte   // in front of out
	status *statusLine // nil where there is none
	team   string

	block strings.Builder // what was shown of the block under way
	last  string          // the block that was shown last
}

func newTextView(stdout, stderr io.Writer, team string, raw bool) *textView {
	v := &textView{out: newPrinter(stdout, raw), team: team}
	v.tail = &lastByte{w: v.out}
	if isTerminal(stdout) {
		v.status = newStatusLine(stderr)
	}
	return v
}

// An agentLine is what a textView needs of a line.
type agentLine struct {
	Type    string
	Subtype string
	Parent  *string `json:"parent_tool_use_id"` // of a line of an agent below the agent
	Event   struct {
		Type  string
		Block struct{ Type, Name string } `json:"content_block"`
		Delta struct{ Type, Text string }
	}
	Message struct {
		Model   string
		Content json.RawMessage
	}
	Request struct {
		Subtype string
		Tool    string `json:"tool_name"`
	}
	Attempt int
	Max     int `json:"max_retries"`
}

func (v *textView) state(st ipc.MessageState) {
	switch {
	case st.State == "running":
		v.say("works")
	case st.WaitsFor != "" && st.Position > 1:
		v.say("%s in the queue, which waits for %s", ordinal(st.Position), st.WaitsFor)
	case st.WaitsFor != "":
		v.say("waits for %s", st.WaitsFor)
	}
}

// line passes over the result, whose text the reply has too.
func (v *textView) line(line []byte) error {
	if bytes.HasPrefix(line, []byte(`{"type":"result"`)) {
		return nil
	}
	var m agentLine
	if json.Unmarshal(line, &m) != nil || m.Parent != nil {
		return nil
	}
	switch m.Type {
	case "stream_event":
		return v.event(&m)
	case "assistant":
		return v.assistant(&m)
	case "user":
		v.say("works")
	case "system":
		if m.Subtype == "api_retry" {
			v.say("the API fails, try %d of %d follows", m.Attempt+1, m.Max+1)
		}
	case "control_request":
		v.request(&m)
	}
	return nil
}

// event shows a piece of a text as it comes.
func (v *textView) event(m *agentLine) error {
	switch e := &m.Event; {
	case e.Type == "content_block_start" && e.Block.Type == "tool_use":
		return v.tool(e.Block.Name)
	case e.Type == "content_block_delta" && e.Delta.Type == "text_delta":
		return v.show(e.Delta.Text)
	}
	return nil
}

// assistant shows what a whole message has of texts that were not shown piece by
// piece. What Claude Code itself says of a failed call has no model.
func (v *textView) assistant(m *agentLine) error {
	var blocks []struct{ Type, Text, Name string }
	if m.Message.Model == "<synthetic>" || json.Unmarshal(m.Message.Content, &blocks) != nil {
		return nil
	}
	for _, b := range blocks {
		var err error
		switch b.Type {
		case "text":
			err = v.whole(b.Text)
		case "tool_use":
			err = v.tool(b.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// request is where the agent asks for something in mid-turn: to use a tool that
// needs approval. The question itself is the prompter's.
func (v *textView) request(m *agentLine) {
	if m.Request.Subtype == "can_use_tool" {
		v.say("asks to use %s", m.Request.Tool)
	}
}

// whole ends a block: all of its text is shown then.
func (v *textView) whole(text string) error {
	rest, ok := strings.CutPrefix(text, v.block.String())
	if !ok { // a piece of it was missed
		v.block.Reset()
		rest = text
	}
	if err := v.show(rest); err != nil {
		return err
	}
	v.last = text
	v.block.Reset()
	return nil
}

// show writes text that goes on in the block under way, or begins one.
func (v *textView) show(text string) error {
	if text == "" {
		return nil
	}
	v.clear()
	if v.block.Len() == 0 && v.tail.any {
		if v.tail.last != '\n' {
			io.WriteString(v.tail, "\n")
		}
		io.WriteString(v.tail, "\n")
	}
	v.block.WriteString(text)
	io.WriteString(v.tail, text)
	return v.out.buf.Flush()
}

// tool says which one is used, under the text.
func (v *textView) tool(name string) error {
	err := v.endLine()
	v.say("uses %s", name)
	return err
}

// endLine ends the line that the text has begun.
func (v *textView) endLine() error {
	if v.tail.any && v.tail.last != '\n' {
		v.clear()
		io.WriteString(v.tail, "\n")
	}
	return v.out.buf.Flush()
}

func (v *textView) gap() {
	v.clear()
	v.endLine()
	v.block.Reset()
	v.last = ""
}

// end shows the answer, unless it is what was shown last.
func (v *textView) end(r *ipc.Reply) error {
	v.clear()
	if r != nil && answers(r.Outcome) {
		var text strings.Builder
		if err := ipc.UnquoteTo(&text, r.Text); err != nil {
			return err
		}
		if shown := v.block.Len() > 0; shown || text.String() != v.last || !v.tail.any {
			if err := v.whole(text.String()); err != nil {
				return err
			}
		}
	}
	v.endLine()
	return v.out.Close()
}

// say shows what happens, where nothing else is in the line.
func (v *textView) say(format string, args ...any) {
	if v.status != nil && (!v.tail.any || v.tail.last == '\n') {
		v.status.set(v.team + ": " + fmt.Sprintf(format, args...))
	}
}

func (v *textView) clear() {
	if v.status != nil {
		v.status.clear()
	}
}

// ordinal is "2nd" for 2.
func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}
