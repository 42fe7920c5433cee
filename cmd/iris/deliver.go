package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"iris/ipc"
)

// Limits that tests change.
var (
	reachTimeout    = 5 * time.Second // for a daemon to be running again
	whenInterrupted = onInterrupt
)

// A delivery is a command's wait for messages. A message outlives the daemon that
// accepted it, and so does the wait: when the connection is lost, it continues with
// the next daemon, by the ids.
type delivery struct {
	*globals
	timeout   seconds
	prompt    *prompter
	streaming *streaming // of the output; nil if it is not streamed

	// Only for a message that is sent.
	newID   string                                                 // its id
	retries string                                                 // the ended message to run again, if any
	accept  func(context.Context, *ipc.Client) (*ipc.Reply, error) // sends it; if it returns no reply, wait for the message
	detach  bool                                                   // do not wait for it
	keyed   bool                                                   // it has a key: sending it again is safe
	cancels bool                                                   // an interrupt also cancels it

	armed bool // interrupts end the wait
	sent  bool // a daemon may have received the call
	lost  bool // a daemon that may have accepted the message is gone
	leave context.CancelFunc
	ids   []string          // the awaited messages, nil until the daemon has sent the id
	heard map[string]string // the states of messages, from the daemon of this connection
	again []string          // messages for which another attempt was reported
	held  map[string]string // what messages were reported to wait for
}

// begin limits the wait by --timeout. All runs use its context.
func (d *delivery) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, d.leave = context.WithCancel(ctx)
	if d.timeout == 0 {
		return ctx, d.leave
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(d.timeout))
	return ctx, func() { cancel(); d.leave() }
}

// reply sends the message and waits for its reply. Then it ends the view of the
// output and the prompter.
func (d *delivery) reply(ctx context.Context) (*ipc.Reply, error) {
	s := d.streaming
	if s != nil {
		s.stop = d.leave
		if d.prompt != nil {
			d.prompt.status = s.status
		}
	}
	_, reply, err := d.run(ctx)
	d.prompt.close()
	if s == nil {
		return reply, err
	}
	ended := s.show.end(reply)
	if failed := cmp.Or(s.err, ended); s.err != nil || err == nil && failed != nil {
		id := s.id
		if id == "" && len(d.ids) > 0 {
			id = d.ids[0]
		}
		return nil, unwritten("the output", id, "wait", failed)
	}
	return reply, err
}

// run sends the message, if there is one, and waits until the first of the messages
// has ended, over as many connections as needed. The error belongs to the message id,
// or without an id to the wait, and says what it means for the messages.
func (d *delivery) run(ctx context.Context) (id string, reply *ipc.Reply, err error) {
	err = d.follow(ctx, reachTimeout, func(c *ipc.Client) (err error) {
		d.listen(c)
		id, reply, err = d.answer(ctx, c)
		return d.noteLoss(err)
	}, d.repeats)
	if err != nil {
		reply = nil
	}
	return id, reply, d.explain(ctx, err)
}

// listen prepares a connection.
func (d *delivery) listen(c *ipc.Client) {
	if !d.armed { // before the message is sent: from then on an interrupt has a message to report
		d.armed = true
		whenInterrupted(d.leave)
	}
	d.heard = make(map[string]string)
	c.OnSent = func() { d.sent = true }
	heard := ipc.Handlers{State: d.hear, Asked: d.prompt.asked, Decided: d.prompt.decided}
	if s := d.streaming; s != nil {
		s.part = nil
		heard.Output, heard.Gap = s.output, s.gap
		heard.State = func(state ipc.MessageState) { d.hear(state); s.state(state) }
	}
	c.OnNotify = heard.Notify
}

// answer continues where an earlier connection ended: it sends the message, waits
// until it has ended and gets its reply.
func (d *delivery) answer(ctx context.Context, c *ipc.Client) (id string, reply *ipc.Reply, err error) {
	if d.ids == nil {
		reply, err = d.send(ctx, c)
		if err != nil || reply != nil || d.detach {
			return "", reply, err
		}
	}
	if id, err = d.ended(ctx, c); err != nil {
		return missing(err), nil, err
	}
	reply, err = c.Result(ctx, ipc.MessageRef{ID: id})
	return id, reply, err
}

// send sends the message under its new id, and again under the id that the daemon
// offers if the new one cannot be used.
func (d *delivery) send(ctx context.Context, c *ipc.Client) (*ipc.Reply, error) {
	for tries := 0; ; tries++ {
		reply, err := d.accept(ctx, c)
		var wire *ipc.Error
		if ipc.ReasonOf(err) != "other-id" || !errors.As(err, &wire) || tries == maxLosses {
			return reply, err
		}
		d.newID = wire.Data.ID
	}
}

// ended waits until the first of the messages has ended and returns its id.
func (d *delivery) ended(ctx context.Context, c *ipc.Client) (string, error) {
	if s := d.streaming; s != nil {
		id := d.ids[0]
		_, err := c.Stream(ctx, ipc.Stream{ID: id, After: s.seq, Partial: s.partial, Place: s.place, Approvals: d.prompt != nil})
		return id, err
	}
	ended, err := c.Wait(ctx, ipc.Wait{IDs: d.ids, Approvals: d.prompt != nil})
	return ended.ID, err
}

// missing returns the id of the message that the error says does not exist. The wait
// for the others goes on.
func missing(err error) string {
	var wire *ipc.Error
	if errors.As(err, &wire) && wire.Code == ipc.CodeNotFound && wire.Data != nil {
		return wire.Data.ID
	}
	return ""
}

// noteLoss records that a lost daemon may have accepted the message.
func (d *delivery) noteLoss(err error) error {
	if ipc.CutOff(err) && !errors.Is(err, ipc.ErrLost) {
		err = fmt.Errorf("%w: %w", ipc.ErrLost, err) // the end of the daemon cancelled the call, not the message
	}
	d.lost = d.lost || errors.Is(err, ipc.ErrLost) && !notReceived(err)
	return err
}

// repeats reports whether to repeat the call with another daemon.
func (d *delivery) repeats(err error) bool {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false
	case ipc.ReasonOf(err) == "clients": // all clients reconnect to the new daemon at once
		return d.lost || len(d.ids) > 0
	}
	return errors.Is(err, ipc.ErrLost)
}

// notReceived reports whether the daemon cannot have received the whole call, which
// is written in one piece: according to the kernel it closed the socket before all
// was written or with unread bytes.
func notReceived(err error) bool {
	return errors.Is(err, syscall.EPIPE) || runtime.GOOS == "linux" && errors.Is(err, syscall.ECONNRESET)
}

// onInterrupt calls f at the first Ctrl-C, SIGTERM or loss of the terminal; the
// second one has its usual effect.
func onInterrupt(f func()) {
	ctx, stop := signal.NotifyContext(context.Background(), heeded(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)...)
	context.AfterFunc(ctx, func() {
		stop()
		f()
	})
}

// hear handles a state of a message from the daemon.
func (d *delivery) hear(state ipc.MessageState) {
	if state.ID == "" {
		return
	}
	d.note(state)
	if state.Retried && !slices.Contains(d.again, state.ID) {
		d.again = append(d.again, state.ID)
		say(d.stderr(), "nobody knows how the first attempt of message %s ended; there is another one", state.ID)
	}
	d.hearHeld(state)
}

// hearHeld reports that a message is held or waits for its account, unless the status line shows what it waits for.
func (d *delivery) hearHeld(state ipc.MessageState) {
	if s := d.streaming; s != nil && s.place || state.State != "queued" || state.WaitsFor == d.held[state.ID] {
		return
	}
	if state.WaitsFor != "" {
		say(d.stderr(), "message %s waits for %s", state.ID, state.WaitsFor)
	}
	if d.held == nil {
		d.held = make(map[string]string)
	}
	d.held[state.ID] = state.WaitsFor
}

// note records the state of an awaited message.
func (d *delivery) note(s ipc.MessageState) {
	if d.ids == nil {
		d.ids = []string{s.ID}
	}
	if d.heard[s.ID] != "running" || s.Retried { // its turn may begin before its place is reported
		d.heard[s.ID] = s.State
	}
}
