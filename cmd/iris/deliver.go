package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"iris/ipc"
)

const (
	steady       = 10 * time.Second
	maxLosses    = 20 // of daemons one after the other that lived no longer than steady
	firstPause   = 10 * time.Millisecond
	longestPause = time.Second
	cancelLimit  = 10 * time.Second
)

// These are others in tests.
var (
	reachTimeout    = 5 * time.Second // for a daemon to be there again
	idGrace         = time.Second     // for the id of a message that is on its way at an interrupt
	whenInterrupted = onInterrupt
)

// A delivery is a command that waits for messages. A message outlives the daemon
// that took it, and so does the wait: when the connection is lost it goes on with
// the next daemon, by the ids.
type delivery struct {
	*globals
	timeout seconds
	keyed   bool // the message has a key: to send it again does no harm
	cancels bool // an interrupt cancels the message as well
	prompt  *prompter

	streaming *streaming // of the output; nil without

	armed bool // only run uses it
	leave context.CancelFunc

	mu          sync.Mutex // protects the fields below
	ids         []string   // what is waited for, nil until the daemon has said it
	heard       map[string]string
	asked       map[string]string // by a message that was sent again, the first one
	interrupted bool
}

// begin bounds the wait by --timeout. Its context is that of each run.
func (d *delivery) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, d.leave = context.WithCancel(ctx)
	if d.timeout == 0 {
		return ctx, d.leave
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(d.timeout))
	return ctx, func() { cancel(); d.leave() }
}

// run has f make its calls on a connection, and on another one when that is lost
// and f may be repeated. The error says what it means for the messages.
func (d *delivery) run(ctx context.Context, f func(context.Context, *ipc.Client) error) error {
	c, err := d.dial(ctx)
	for losses := 0; err == nil; losses++ {
		begun := time.Now()
		err = d.talk(ctx, c, f)
		if err == nil || !d.repeats(ctx, err) {
			break
		}
		if time.Since(begun) > steady {
			losses = 0
		}
		if losses == maxLosses {
			err = d.gone(err)
			break
		}
		c, err = d.redial(ctx, losses)
	}
	return d.explain(ctx, err)
}

// talk is f on one connection.
func (d *delivery) talk(ctx context.Context, c *ipc.Client, f func(context.Context, *ipc.Client) error) error {
	defer c.Close()
	// Not before: it takes as long as the call itself, and until the message is
	// on its way there is nothing to say of it.
	c.OnSent = func() {
		if !d.armed {
			d.armed = true
			whenInterrupted(d.interrupt)
		}
	}
	c.OnNotify = func(method string, raw json.RawMessage) {
		var state ipc.MessageState
		if d.prompt.notify(method, raw) {
			return
		}
		if method == ipc.NotifyState && state.ParseJSON(raw) == nil && state.ID != "" {
			d.instead(state)
			d.note(state)
		}
		if d.streaming != nil {
			d.streaming.notify(method, raw)
		}
	}
	d.forget()
	err := f(ctx, c)
	var wire *ipc.Error
	if errors.As(err, &wire) && wire.Code == ipc.CodeCancelled && wire.Data == nil {
		return fmt.Errorf("%w: %w", ipc.ErrLost, err) // the call was cancelled by the daemon's end, not the message
	}
	return err
}

// repeats reports whether another daemon may answer what this one did not.
func (d *delivery) repeats(ctx context.Context, err error) bool {
	known := len(d.waiting()) > 0
	switch {
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded):
		return false
	case reasonOf(err) == "clients": // all come back to the new daemon at once
		return known
	}
	return errors.Is(err, ipc.ErrLost) && (known || d.keyed || untaken(err))
}

// untaken reports whether the daemon cannot have had the whole of a call, which
// is written in one piece: the kernel says that it has closed the socket before
// all was written, or with bytes in it that nobody read.
func untaken(err error) bool {
	return errors.Is(err, syscall.EPIPE) || runtime.GOOS == "linux" && errors.Is(err, syscall.ECONNRESET)
}

// redial finds the daemon again, or starts one if it may.
func (d *delivery) redial(ctx context.Context, losses int) (*ipc.Client, error) {
	for begun := time.Now(); ; losses++ {
		pause(ctx, min(firstPause<<losses, longestPause))
		c, err := d.dial(ctx)
		switch {
		case err == nil, ctx.Err() != nil:
			return c, err
		case time.Since(begun) > reachTimeout:
			return nil, d.gone(err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// gone says that there is no daemon any more. What is on record is safe.
func (d *delivery) gone(err error) error {
	if reasonOf(err) == "clients" {
		return err
	}
	e := ipc.Errorf(ipc.CodeDaemon, "lost the daemon, and there is no other: %s", err)
	ids := d.waiting()
	switch {
	case len(ids) == 0 && d.keyed:
		e.Data = &ipc.Data{Hint: "the same --key makes it safe to send again"}
	case len(ids) == 0:
	case len(ids) == 1:
		e.Data = &ipc.Data{ID: ids[0], Hint: fmt.Sprintf("message %s is on record; %q waits for it", ids[0], "iris wait "+ids[0])}
	default:
		e.Data = &ipc.Data{Hint: fmt.Sprintf("the messages are on record; %q waits for them", "iris wait ID...")}
	}
	return e
}

// first waits for the first of the messages to end, and gets how it did. Its
// error is that of the message id, or with none that of the wait.
func (d *delivery) first(ctx context.Context) (id string, reply *ipc.Reply, err error) {
	err = d.run(ctx, func(ctx context.Context, c *ipc.Client) error {
		id, reply, err = d.collect(ctx, c)
		return err
	})
	return id, reply, err
}

// collect makes the two calls that a wait takes.
func (d *delivery) collect(ctx context.Context, c *ipc.Client) (string, *ipc.Reply, error) {
	var ended ipc.MessageState
	if err := c.Call(ctx, ipc.MethodWait, &ipc.Wait{IDs: d.waiting(), Approvals: d.prompt != nil}, &ended); err != nil {
		return missing(err), nil, err
	}
	d.instead(ended)
	reply := new(ipc.Reply)
	if err := c.Call(ctx, ipc.MethodResult, &ipc.Which{ID: ended.ID}, reply); err != nil {
		return ended.ID, nil, err
	}
	return ended.ID, reply, nil
}

// missing returns which message the error says is not there. That one keeps
// nobody from waiting for the others.
func missing(err error) string {
	var wire *ipc.Error
	if errors.As(err, &wire) && wire.Code == ipc.CodeNotFound && wire.Data != nil {
		return wire.Data.ID
	}
	return ""
}

// explain says what a failed wait means.
func (d *delivery) explain(ctx context.Context, err error) error {
	var wire *ipc.Error
	ids := d.waiting()
	switch {
	case err == nil, errors.As(err, &wire) && !errors.Is(err, ipc.ErrLost):
		return err
	case len(ids) == 0:
		return notAccepted(ctx, err)
	case ctx.Err() == nil && !errors.Is(err, ipc.ErrLost):
		return err
	case ctx.Err() == nil:
		return ipc.Errorf(ipc.CodeUnknown, "lost the daemon while message %s ran", strings.Join(ids, " "))
	}
	return d.cutShort(ctx, ids)
}

// notAccepted says what it means that no id came back.
func notAccepted(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ipc.Errorf(ipc.CodeDaemon, "the daemon did not accept the message in time")
	case ctx.Err() != nil:
		return &waitError{cause: ctx.Err(), text: "interrupted before the daemon accepted the message"}
	case errors.Is(err, ipc.ErrLost):
		return ipc.Errorf(ipc.CodeUnknown, "lost the daemon before it said whether it took the message")
	}
	return err
}

// cutShort says what becomes of messages that nobody waits for any more.
func (d *delivery) cutShort(ctx context.Context, ids []string) error {
	e := &waitError{cause: ctx.Err()}
	why := "interrupted"
	if errors.Is(e.cause, context.DeadlineExceeded) {
		why = "no answer within " + d.timeout.String()
	}
	if len(ids) > 1 {
		e.text = fmt.Sprintf("%s; %d messages have not ended: %s", why, len(ids), strings.Join(ids, " "))
		e.hint = fmt.Sprintf("%q waits for them", "iris wait ID...")
		return e
	}
	e.id = ids[0]
	if d.cancels && why == "interrupted" {
		d.cancel(ctx, e)
		return e
	}
	fate, remedy := "has not ended", "ends it"
	switch d.state(e.id) {
	case "running":
		fate, remedy = "goes on", "interrupts it"
	case "queued":
		fate, remedy = "still waits and will run", "takes it back"
	}
	e.text = fmt.Sprintf("%s; message %s %s", why, e.id, fate)
	e.hint = fmt.Sprintf("%q waits for it, %q %s", d.onward(e.id), "iris cancel "+e.id, remedy)
	return e
}

// cancel is what --cancel-on-interrupt adds to the end of the wait.
func (d *delivery) cancel(ctx context.Context, e *waitError) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelLimit)
	defer stop()
	var state ipc.MessageState
	err := d.call(ctx, ipc.MethodCancel, &ipc.MessageID{ID: e.id}, &state)
	switch {
	case err == nil && state.State == "interrupting":
		e.text = fmt.Sprintf("interrupted; so is the turn of message %s", e.id)
	case err == nil:
		e.text = fmt.Sprintf("interrupted; message %s is cancelled", e.id)
	case status(err) == ipc.CodeNotFound:
		e.text = fmt.Sprintf("interrupted; message %s had ended already", e.id)
		e.hint = fmt.Sprintf("%q prints its answer", "iris result "+e.id)
	default:
		e.text = fmt.Sprintf("interrupted; message %s is not cancelled: %s", e.id, err)
		e.hint = fmt.Sprintf("%q tries again", "iris cancel "+e.id)
	}
}

// interrupt ends the wait, at once or when the message has its id: without it
// nobody could say what goes on.
func (d *delivery) interrupt() {
	d.mu.Lock()
	d.interrupted = true
	known := d.ids != nil
	d.mu.Unlock()
	if known {
		d.leave()
		return
	}
	time.AfterFunc(idGrace, d.leave)
}

// note takes down what the daemon says of a message.
func (d *delivery) note(s ipc.MessageState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids == nil {
		d.ids = []string{s.ID}
		if d.interrupted {
			d.leave()
		}
	}
	if d.heard[s.ID] != "running" { // a turn may begin before its place is told
		if d.heard == nil {
			d.heard = make(map[string]string)
		}
		d.heard[s.ID] = s.State
	}
}

// instead goes on with the message that was sent in the place of one that is
// waited for, and says so.
func (d *delivery) instead(s ipc.MessageState) {
	if !d.exchange(s.InsteadOf, s.ID) {
		return
	}
	if d.streaming != nil {
		d.streaming.goOn(s.ID)
	}
	say(d.stderr(), "nobody knows how message %s ended; it was sent again as %s", s.InsteadOf, s.ID)
}

// exchange has another message waited for, and reports whether the old one was.
func (d *delivery) exchange(old, now string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.ids, old)
	if i < 0 || old == "" {
		return false
	}
	d.ids = slices.Clone(d.ids)
	if slices.Contains(d.ids, now) {
		d.ids = slices.Delete(d.ids, i, i+1)
	} else {
		d.ids[i] = now
	}
	if d.asked == nil {
		d.asked = make(map[string]string)
	}
	d.asked[now] = old
	return true
}

// askedFor returns the message that another one was sent in the place of, or "".
func (d *delivery) askedFor(id string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[id]
}

// forget drops what an earlier daemon said of the messages' states.
func (d *delivery) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = nil
}

// waiting returns the messages that are waited for.
func (d *delivery) waiting() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ids
}

// drop ends the wait for one of them.
func (d *delivery) drop(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids = slices.DeleteFunc(slices.Clone(d.ids), func(other string) bool { return other == id })
}

func (d *delivery) state(id string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.heard[id]
}
