package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"iris/ipc"
)

// A view shows what an agent writes as it comes. Its error is that of a write.
type view interface {
	// state is told what a message waits for, and that its turn has begun.
	state(ipc.MessageState)
	// line gets each line of the agent's, valid during the call.
	line(line []byte) error
	// gap is told that something was missed.
	gap()
	// end shows what is left to show of a message: its reply, or nil when it
	// has none or nobody waits for it any more.
	end(*ipc.Reply) error
}

// A streaming is the output of one message on its way to a view, over as many
// connections as it takes.
type streaming struct {
	show    view
	stderr  io.Writer
	lines   bool
	partial bool
	place   bool
	stop    func() // ends the wait: nothing more can be shown
	status  *statusLine

	id   string
	seq  int64
	part []byte // of a long line
	err  error  // why nothing more can be shown
}

// newStreaming shows the output of a message as the options say.
func newStreaming(o *outputOptions, name string, raw bool, stdout, stderr io.Writer) *streaming {
	if o.lines() {
		return &streaming{stderr: stderr, lines: true, partial: o.partial, show: newLineView(stdout)}
	}
	v := newTextView(stdout, stderr, name, raw)
	return &streaming{stderr: stderr, partial: true, place: v.status != nil, show: v, status: v.status}
}

// notify takes what the daemon says during a call.
func (s *streaming) notify(method string, params json.RawMessage) {
	if s.err != nil {
		return
	}
	switch method {
	case ipc.NotifyState:
		var st ipc.MessageState
		if st.ParseJSON(params) == nil {
			s.show.state(st)
		}
	case ipc.NotifyOutput:
		var o ipc.Output
		if err := o.ParseJSON(params); err == nil {
			s.err = s.output(&o)
		}
	case ipc.NotifyGap:
		var g ipc.OutputGap
		if json.Unmarshal(params, &g) == nil {
			s.gap(&g)
		}
	}
	if s.err != nil {
		s.stop()
	}
}

// output takes a line, or a part of one.
func (s *streaming) output(o *ipc.Output) error {
	if s.id != o.ID { // the first, or one that runs in its place
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
	s.seq, s.part = o.Seq, nil
	return s.show.line(line)
}

func (s *streaming) gap(g *ipc.OutputGap) {
	s.part = nil
	s.show.gap()
	if g.Next > 0 {
		s.seq = g.Next
		say(s.stderr, "the output of message %s after %d is no longer kept up to %d", g.ID, g.After, g.Next)
		return
	}
	say(s.stderr, "the output of message %s after %d is no longer kept", g.ID, g.After)
}

// goOn leaves a message for the one that was sent in its place.
func (s *streaming) goOn(id string) {
	s.show.gap()
	s.id, s.seq, s.part = id, 0, nil
}

// follow streams a message that a daemon has on record, from where it was left,
// and gets its reply.
func (d *delivery) follow(ctx context.Context, c *ipc.Client, id string) (*ipc.Reply, error) {
	s := d.streaming
	s.part = nil
	p := ipc.Stream{ID: id, After: s.seq, Partial: s.partial, Place: s.place, Approvals: d.prompt != nil}
	if err := c.Call(ctx, ipc.MethodStream, &p, nil); err != nil {
		return nil, err
	}
	reply := new(ipc.Reply)
	return reply, c.Call(ctx, ipc.MethodResult, &ipc.Which{ID: d.waiting()[0]}, reply) // perhaps another one by now
}

// ask sends a message and shows its output as it comes.
func (d *delivery) ask(ctx context.Context, params ipc.Send) (*ipc.Reply, error) {
	s := d.streaming
	params.Stream, params.Partial, params.Place = true, s.partial, s.place
	return d.streamed(ctx, func(ctx context.Context, c *ipc.Client) (*ipc.Reply, error) {
		reply := new(ipc.Reply)
		return reply, c.Call(ctx, ipc.MethodSend, &params, reply)
	})
}

// streamed runs first on a connection, and goes on by the id of the message
// where that is lost. Whatever happens, the view has ended then.
func (d *delivery) streamed(ctx context.Context, first func(context.Context, *ipc.Client) (*ipc.Reply, error)) (reply *ipc.Reply, err error) {
	s := d.streaming
	s.stop = d.leave
	if d.prompt != nil {
		d.prompt.status = s.status
	}
	err = d.run(ctx, func(ctx context.Context, c *ipc.Client) error {
		f := first
		if ids := d.waiting(); ids != nil {
			f = func(ctx context.Context, c *ipc.Client) (*ipc.Reply, error) { return d.follow(ctx, c, ids[0]) }
		}
		var err error
		reply, err = f(ctx, c)
		return err
	})
	if err != nil {
		reply = nil
	}
	d.prompt.close()
	ended := s.show.end(reply)
	if s.err != nil {
		return nil, s.err
	}
	if err == nil {
		err = ended
	}
	return reply, err
}

// onward is the command that goes on with a wait.
func (d *delivery) onward(id string) string {
	s := d.streaming
	if s == nil || !s.lines {
		return "iris wait " + id
	}
	partial := ""
	if s.partial {
		partial = " --include-partial-messages"
	}
	return fmt.Sprintf("iris wait --output stream-json%s --after %d %s", partial, s.seq, id)
}

// printStreamed says what is to be known besides, and returns how the turn ended.
func printStreamed(stderr io.Writer, r *ipc.Reply) error {
	if r.Notice != "" {
		say(stderr, "%s", r.Notice)
	}
	return replyError(r)
}

// A lineView prints the agent's lines, as "claude -p --output-format stream-json"
// would.
type lineView struct{ out *printer }

func newLineView(stdout io.Writer) *lineView {
	out := newPrinter(stdout, false)
	if out.safe != nil {
		out.safe.form = formJSON
	}
	return &lineView{out}
}

func (v *lineView) state(ipc.MessageState) {}

// line leaves out what the agent asks iris for, which claude has no line for.
func (v *lineView) line(line []byte) error {
	var m struct{ Type string }
	if json.Unmarshal(line, &m) == nil && (m.Type == "control_request" || m.Type == "control_cancel_request") {
		return nil
	}
	v.out.Write(line)
	io.WriteString(v.out, "\n")
	return v.out.buf.Flush()
}

func (v *lineView) gap() {}

func (v *lineView) end(*ipc.Reply) error { return v.out.Close() }
