package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"iris/ipc"
)

// Limits that tests change.
var (
	askLimit    = 2 * time.Second  // to find out whether a message was accepted, when the wait ended before its id came
	cancelLimit = 10 * time.Second // the same, and to cancel the message
)

// explain says what a failed wait means.
func (d *delivery) explain(ctx context.Context, err error) error {
	if gone, ok := errors.AsType[goneError](err); ok {
		err = d.gone(gone.error)
	}
	var wire *ipc.Error
	ids := d.ids
	switch {
	case err == nil, errors.As(err, &wire) && !errors.Is(err, ipc.ErrLost):
		return err
	case len(ids) == 0:
		if err := d.undecided(ctx, err); err != nil {
			return err
		}
		return d.explain(ctx, err)
	case ctx.Err() == nil && !errors.Is(err, ipc.ErrLost):
		return err
	case ctx.Err() == nil:
		return ipc.Errorf(ipc.CodeUnknown, "lost the daemon while message %s ran", strings.Join(ids, " "))
	}
	return d.cutShort(ctx, ids)
}

// gone says that there is no daemon any more. Recorded messages are safe. Status 3 is
// only for a message that was certainly not accepted.
func (d *delivery) gone(err error) error {
	ids := d.ids
	switch {
	case ipc.ReasonOf(err) == "clients" && !d.lost:
		return err
	case len(ids) == 0 && d.lost:
		return d.doubt("lost the daemon, and there is no other", false)
	}
	e := ipc.Errorf(ipc.CodeDaemon, "lost the daemon, and there is no other: %s", err)
	if d.newID != "" && len(ids) > 0 {
		e.Code = ipc.CodeUnknown
	}
	switch {
	case len(ids) == 0:
	case len(ids) == 1:
		e.Data = &ipc.Data{ID: ids[0], Hint: fmt.Sprintf("message %s is on record; %q waits for it", ids[0], "iris wait "+ids[0])}
	default:
		e.Data = &ipc.Data{Hint: fmt.Sprintf("the messages are on record; %q waits for them", "iris wait ID...")}
	}
	return e
}

// cutShort says what becomes of messages whose wait has ended.
func (d *delivery) cutShort(ctx context.Context, ids []string) error {
	e := &waitError{cause: ctx.Err()}
	why := whyEnded(ctx, d.timeout)
	if len(ids) > 1 {
		e.text = fmt.Sprintf("%s; %d messages have not ended: %s", why, len(ids), strings.Join(ids, " "))
		e.hint = fmt.Sprintf("%q waits for them", "iris wait ID...")
		return e
	}
	e.id = ids[0]
	if d.cancelsNow(ctx) {
		d.cancel(ctx, e)
		return e
	}
	end, remedy := "has not ended", "ends it"
	switch d.heard[e.id] {
	case "running":
		end, remedy = "goes on", "interrupts it"
	case "queued":
		end, remedy = "still waits and will run", "takes it back"
	}
	if s := d.heard[e.id]; s != "" && s != "running" && s != "queued" {
		e.text = fmt.Sprintf("%s; message %s has ended", why, e.id)
		e.hint = fmt.Sprintf("%q prints its answer", "iris result "+e.id)
		return e
	}
	e.text = fmt.Sprintf("%s; message %s %s", why, e.id, end)
	e.hint = fmt.Sprintf("%q waits for it, %q %s", d.resumeCommand(e.id), "iris cancel "+e.id, remedy)
	return e
}

// cancel cancels the message, for --cancel-on-interrupt, and adds the result to e.
func (d *delivery) cancel(ctx context.Context, e *waitError) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelLimit)
	defer stop()
	state, err := d.verbs().Cancel(ctx, e.id)
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

// resumeCommand is the command that continues a wait.
func (d *delivery) resumeCommand(id string) string {
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

// undecided finds out what became of a message if the wait ended before the daemon
// sent its id. It returns nil if the message was accepted, and records its id;
// otherwise the error to report.
//
// The connection is closed: the daemon will not accept a message that it has not
// accepted yet. So its answer stays true.
func (d *delivery) undecided(ctx context.Context, err error) error {
	switch {
	case ctx.Err() == nil && !errors.Is(err, ipc.ErrLost):
		return err
	case !d.sent:
		return notAccepted(ctx)
	}
	m, err := d.find(ctx)
	switch {
	case err == nil:
		d.note(ipc.MessageState{ID: m.ID, State: m.State})
		return nil
	case ipc.ReasonOf(err) == "no-such-message":
		return notAccepted(ctx)
	}
	return d.doubt(whyEnded(ctx, d.timeout), d.cancelsNow(ctx))
}

// find asks a running daemon for the message, within a short limit.
func (d *delivery) find(ctx context.Context) (ipc.Message, error) {
	limit := askLimit
	if d.cancelsNow(ctx) {
		limit = cancelLimit
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer stop()
	daemon := d.running().verbs()
	m, err := daemon.Show(ctx, ipc.MessageRef{ID: d.newID})
	if d.retries == "" || ipc.ReasonOf(err) != "no-such-message" {
		return m, err
	}
	old, err2 := daemon.Show(ctx, ipc.MessageRef{ID: d.retries})
	ours := func(c ipc.Change) bool { return c.Request == d.newID }
	if err2 == nil && !slices.ContainsFunc(old.History, ours) {
		err2 = err
	}
	return old, err2
}

// cancelsNow reports whether the end of the wait cancels the message too.
func (d *delivery) cancelsNow(ctx context.Context) bool {
	return d.cancels && errors.Is(ctx.Err(), context.Canceled)
}

// notAccepted says that the message was not accepted and will not be.
func notAccepted(ctx context.Context) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ipc.Errorf(ipc.CodeDaemon, "the daemon did not accept the message in time")
	case ctx.Err() != nil:
		return &waitError{cause: ctx.Err(), text: "interrupted before the daemon accepted the message"}
	}
	return ipc.Errorf(ipc.CodeDaemon, "lost the daemon before it accepted the message")
}

// doubt says that nobody knows whether the message was accepted.
func (d *delivery) doubt(why string, cancels bool) error {
	e := ipc.Errorf(ipc.CodeUnknown, "%s; nobody knows whether message %s was accepted", why, d.newID)
	e.Data = &ipc.Data{ID: d.newID, Reason: "maybe-accepted"}
	switch {
	case cancels:
		e.Data.Hint = fmt.Sprintf("%q ends it, if it was, when the daemon answers again", "iris cancel "+d.newID)
	case d.keyed:
		e.Data.Hint = "the same --key makes it safe to send again"
	case d.retries != "": // an unknown message keeps its id
		e.Data.Hint = fmt.Sprintf("when the daemon answers again, %q says so, or %q if that message was unknown", "iris show "+d.newID, "iris show "+d.retries)
	default:
		e.Data.Hint = fmt.Sprintf("%q says so when the daemon answers again", "iris show "+d.newID)
	}
	return e
}

// whyEnded says why a wait has ended.
func whyEnded(ctx context.Context, timeout seconds) string {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "no answer within " + timeout.String()
	case ctx.Err() != nil:
		return "interrupted"
	}
	return "the daemon does not answer"
}
