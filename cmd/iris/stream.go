package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

// A view shows the output of an agent as it comes. Its errors are those of writing.
type view interface {
	// state receives the state of a message: what it waits for, and that its turn has
	// begun.
	state(ipc.MessageState)
	// line receives each line of the agent, valid during the call.
	line(line []byte) error
	// gap is called when lines were missed.
	gap()
	// end shows the rest of a message: its reply, or nil if it has none or the wait
	// has ended.
	end(*ipc.Reply) error
}

// A streaming passes the output of one message to a view, over as many connections as
// needed.
type streaming struct {
	show    view
	stderr  io.Writer
	lines   bool
	partial bool
	place   bool
	stop    func() // ends the wait: nothing more can be shown
	status  *terminal.StatusLine

	id   string
	seq  int64
	part []byte // of a long line
	err  error  // why nothing more can be shown
}

// newStreaming shows the output of a message as the options say.
func newStreaming(o *outputOptions, name string, raw bool, stdout, stderr io.Writer) *streaming {
	if o.lines() {
		return &streaming{stderr: stderr, lines: true, partial: o.partial, show: &lineView{terminal.NewJSONPrinter(stdout)}}
	}
	v := newTextView(stdout, stderr, name, raw)
	return &streaming{stderr: stderr, partial: true, place: v.status != nil, show: v, status: v.status}
}

// state handles a state of a message from the daemon.
func (s *streaming) state(st ipc.MessageState) {
	if s.err == nil {
		s.show.state(st)
	}
}

// output handles a line, or a part of one.
func (s *streaming) output(o ipc.Output) {
	if s.err != nil {
		return
	}
	if s.err = s.add(&o); s.err != nil {
		s.stop()
	}
}

func (s *streaming) add(o *ipc.Output) error {
	if s.id != o.ID { // the first, or of a message that replaces it
		s.id, s.part = o.ID, nil
	}
	line := []byte(o.Line)
	if o.Line == nil {
		s.part = append(s.part, o.Part...)
		line = s.part
	}
	if o.Seq == 0 {
		return nil
	}
	if s.seq > 0 && s.seq>>ipc.SeqBits != o.Seq>>ipc.SeqBits { // another attempt
		s.show.gap()
	}
	s.seq, s.part = o.Seq, nil
	return s.show.line(line)
}

func (s *streaming) gap(g ipc.OutputGap) {
	if s.err != nil {
		return
	}
	s.part = nil
	s.show.gap()
	if g.Next > 0 {
		s.seq = g.Next
		say(s.stderr, "the output of message %s after %d is no longer kept up to %d", g.ID, g.After, g.Next)
		return
	}
	say(s.stderr, "the output of message %s after %d is no longer kept", g.ID, g.After)
}

// printStreamed prints the remarks of a reply, and returns how the turn ended.
func printStreamed(stderr io.Writer, r *ipc.Reply) error {
	if r.Notice != "" {
		say(stderr, "%s", r.Notice)
	}
	return replyError(r)
}

// A lineView prints the agent's lines, as "claude -p --output-format stream-json"
// would.
type lineView struct{ out *terminal.Printer }

func (v *lineView) state(ipc.MessageState) {}

// line leaves out the agent's requests to iris: claude prints no such lines.
func (v *lineView) line(line []byte) error {
	var m struct{ Type string }
	if json.Unmarshal(line, &m) == nil && (m.Type == "control_request" || m.Type == "control_cancel_request") {
		return nil
	}
	v.out.Write(line)
	io.WriteString(v.out, "\n")
	return v.out.Flush()
}

func (v *lineView) gap() {}

func (v *lineView) end(*ipc.Reply) error { return v.out.Close() }

// A textView shows the text of an answer as it is written, block by block, and on a
// terminal, between the blocks, one line about the agent's work.
type textView struct {
	out    *terminal.Printer
	tail   *lastByte            // in front of out
	status *terminal.StatusLine // nil if there is none
	team   string

	block strings.Builder // the part of the current block that was shown
	said  strings.Builder // the text shown since, without its spaces
	gaps  bool            // lines were missed
}

func newTextView(stdout, stderr io.Writer, team string, raw bool) *textView {
	v := &textView{out: terminal.NewPrinter(stdout, raw), team: team}
	v.tail = &lastByte{w: v.out}
	if terminal.Is(stdout) {
		v.status = terminal.NewStatusLine(stderr)
	}
	return v
}

// An agentLine has the members of a line that a textView needs.
type agentLine struct {
	Type    string
	Subtype string
	Parent  *string `json:"parent_tool_use_id"` // set in a line of a subagent
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
	case st.State == "running" && st.WaitsFor != "":
		v.say("the agent waits for %s", st.WaitsFor)
	case st.State == "running":
		v.say("works")
	case st.WaitsFor != "" && st.Position > 1:
		v.say("%s in the queue, which waits for %s", ordinal(st.Position), st.WaitsFor)
	case st.WaitsFor != "":
		v.say("waits for %s", st.WaitsFor)
	}
}

// line ignores the result, since its text is in the reply too.
func (v *textView) line(line []byte) error {
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

// assistant shows the texts of a whole message that were not shown in pieces. A text
// of Claude Code itself about a failed call has no model.
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

// request shows that the agent asks for something during a turn, such as approval of
// a tool. The prompter asks the question.
func (v *textView) request(m *agentLine) {
	if m.Request.Subtype == "can_use_tool" {
		v.say("asks to use %s", m.Request.Tool)
	}
}

// whole ends a block: all of its text is shown then.
func (v *textView) whole(text string) error {
	rest, ok := strings.CutPrefix(text, v.block.String())
	if !ok { // a piece was missed
		v.block.Reset()
		rest = text
	}
	if err := v.show(rest); err != nil {
		return err
	}
	v.said.WriteString(squeezed(text))
	v.block.Reset()
	return nil
}

// show writes text that continues the current block, or begins one.
func (v *textView) show(text string) error {
	if text == "" {
		return nil
	}
	v.status.Clear()
	if v.block.Len() == 0 && v.tail.any {
		if v.tail.last != '\n' {
			io.WriteString(v.tail, "\n")
		}
		io.WriteString(v.tail, "\n")
	}
	v.block.WriteString(text)
	io.WriteString(v.tail, text)
	return v.out.Flush()
}

// tool names the tool that the agent uses, below the text.
func (v *textView) tool(name string) error {
	err := v.endLine()
	v.say("uses %s", name)
	return err
}

// endLine ends the current line of text.
func (v *textView) endLine() error {
	if v.tail.any && v.tail.last != '\n' {
		v.status.Clear()
		io.WriteString(v.tail, "\n")
	}
	return v.out.Flush()
}

func (v *textView) gap() {
	v.status.Clear()
	v.endLine()
	v.block.Reset()
	v.said.Reset()
	v.gaps = true
}

// squeezed is a text without its spaces, to recognise a text that was shown in
// pieces.
func squeezed(text string) string { return strings.Join(strings.Fields(text), "") }

// end shows the answer, unless it was shown last. Earlier answers were shown too,
// unless lines were missed.
func (v *textView) end(r *ipc.Reply) error {
	v.status.Clear()
	if r != nil && answers(r.Outcome) {
		if err := v.earlier(r.Earlier); err != nil {
			return err
		}
		if shown := v.block.Len() > 0; shown || !strings.HasSuffix(v.said.String(), squeezed(r.Text)) || !v.tail.any {
			if err := v.whole(r.Text); err != nil {
				return err
			}
		}
	}
	v.endLine()
	return v.out.Close()
}

// earlier shows the answers before the last one, if they may not have been shown.
func (v *textView) earlier(texts []string) error {
	if v.tail.any && !v.gaps {
		return nil
	}
	for _, text := range texts {
		if err := v.whole(text); err != nil {
			return err
		}
	}
	return nil
}

// say shows a message on the status line, if it is free.
func (v *textView) say(format string, args ...any) {
	if !v.tail.any || v.tail.last == '\n' {
		v.status.Set(v.team + ": " + fmt.Sprintf(format, args...))
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
