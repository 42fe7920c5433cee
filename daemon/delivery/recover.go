package delivery

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"time"

	"iris/config/sys"
	"iris/daemon/agents"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/daemon/store"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/turn"
)

// Recover takes up the agents and messages of an earlier daemon: agents that finish their
// turns, messages whose turn had begun, and messages that wait. It runs before the socket
// answers. It may be interrupted at any point and run again. h is the pool of the program
// before this one, nil if there was none, and handed returns the state of each agent.
func (d *Dispatcher) Recover(h *pool.Handoff, handed func(process string) *claude.Handed) error {
	last, err := d.o.Store.LastID()
	if err != nil {
		return err
	}
	d.inflight.ids.after(last)
	ended, err := d.recentlyEnded()
	if err != nil {
		return err
	}
	if err := d.restoreBudgets(); err != nil {
		return err
	}
	if err := d.takeUp(h, handed, ended); err != nil {
		return err
	}
	if err := d.restoreGates(); err != nil {
		return err
	}
	if err := d.restoreUsed(); err != nil {
		return err
	}
	left, err := d.o.Agents.FindOrphans()
	if err != nil {
		return err
	}
	if err := d.recoverRunning(left); err != nil {
		return err
	}
	for _, l := range left {
		d.o.Agents.WatchOrphan(l)
	}
	if err := d.recoverUnknown(); err != nil {
		return err
	}
	if err := d.o.Attachments(); err != nil {
		return err
	}
	if err := d.recoverQueued(); err != nil {
		return err
	}
	d.keepOutputs(ended)
	d.o.Agents.CleanSpools()
	return nil
}

// reconnectWithin is how soon after the end of a message its client may reconnect to the
// next daemon for the rest of the output.
const reconnectWithin = time.Minute

// recentlyEnded returns the messages that ended just before the last daemon did: their
// clients may not have read all of the output.
func (d *Dispatcher) recentlyEnded() (all []journal.Message, err error) {
	ended := journal.Filter{States: []journal.State{journal.Done, journal.Failed, journal.Cancelled}, Limit: maxKeptOutputs}
	for msg, err := range d.o.Store.List(ended) {
		if ok, err := d.readable(err); err != nil {
			return nil, err
		} else if ok && len(msg.Attempts) > 0 && time.Since(msg.Ended()) < reconnectWithin {
			all = append(all, msg)
		}
	}
	return all, nil
}

// keepOutputs keeps the output of ended messages that is not kept yet.
func (d *Dispatcher) keepOutputs(ended []journal.Message) {
	for _, msg := range ended {
		if d.inflight.outputs.has(msg.ID) { // of an adopted agent
			continue
		}
		a := msg.Last()
		if ev, over, _ := d.o.Agents.ReadSpool(&a); over {
			d.restored(&msg).keepOutput(claude.OpenStream(d.o.Agents.Follower, d.o.Paths.Spool, a.Process, a.Offset, a.UUID, 0, ev.End))
		}
	}
}

// readable reports whether a message could be read. A damaged message is logged and passed
// over; any other error is fatal and ends the recovery.
func (d *Dispatcher) readable(err error) (ok bool, fatal error) {
	if damage, is := errors.AsType[*journal.DamageError](err); is && damage.ID != "" {
		d.o.Log.Error("message passed over", "message", damage.ID, "err", err)
		return false, nil
	}
	return err == nil, err
}

// recoverRunning settles the messages whose turn had begun. If the agent still lives, the
// message is settled when the turn is over.
func (d *Dispatcher) recoverRunning(left map[string]*agents.Orphan) error {
	for msg, err := range d.o.Store.Running() {
		if ok, err := d.readable(err); err != nil {
			return err
		} else if !ok || d.o.Agents.HasTurn(msg.Last().Process, msg.ID) { // its adopted agent goes on with it, or has ended it by now
			continue
		}
		m := d.restored(&msg)
		if l := left[msg.Last().Process]; l != nil {
			last := msg.Last()
			m.orphan.Store(&last)
			l.Key, l.Turn, l.Settle = m.key(), &last, m.settleOrphan
			m.needSpool(l.Process)
			d.inflight.live.add(m)
			continue
		}
		if err := m.settle(msg.Last()); err != nil {
			return err
		}
	}
	return nil
}

// restored returns the delivery of a message that an earlier daemon accepted.
func (d *Dispatcher) restored(msg *journal.Message) *delivery {
	m := d.newDelivery(journal.New{
		ID: msg.ID, Team: msg.Team, Session: msg.Session, Options: msg.Options, At: msg.Accepted(),
	})
	m.order, m.size, m.accepted, m.recorded = msg.Seq, msg.Body.Size, true, closed
	m.attempts, m.offset, m.uuid = len(msg.Attempts), msg.Last().Offset, msg.Last().UUID
	m.retried.Store(msg.Retried())
	return m
}

// closed is the field recorded of every message that is on disk already.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// recoverUnknown holds the conversations whose unknown messages have on_unknown = hold. It
// queues unknown messages with on_unknown = retry that an earlier version of iris left.
func (d *Dispatcher) recoverUnknown() error {
	for msg, err := range d.o.Store.Unresolved() {
		if ok, err := d.readable(err); err != nil {
			return err
		} else if !ok {
			continue
		}
		switch {
		case msg.Options.OnUnknown == "hold":
			d.holdUnknown(d.restored(&msg))
		case msg.Options.OnUnknown == "retry" && !msg.Retried():
			if _, err := d.o.Store.Reattempt(msg.ID, journal.Change{At: time.Now(), By: "on_unknown"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// many is how many recovered messages leave so much garbage that its memory is given back
// at once.
const many = 1000

// recoverQueued submits the queued messages in the order of their acceptance.
func (d *Dispatcher) recoverQueued() error {
	n := 0
	for msg, err := range d.o.Store.Queued() {
		if ok, err := d.readable(err); err != nil {
			return err
		} else if !ok || d.inflight.live.get(msg.ID) != nil { // recoverRunning has just put it back
			continue
		}
		d.resume(d.restored(&msg))
		n++
	}
	if n > many {
		debug.FreeOSMemory()
	}
	return nil
}

// resume submits an accepted message to the pool again, at its old place. It returns false
// if the pool refuses it: the message stays queued for the next daemon.
func (d *Dispatcher) resume(m *delivery) bool {
	_, err := m.submit(pool.Turn{AcceptedSeq: m.order})
	if err != nil {
		d.o.Log.Error("message not taken up", "message", m.new.ID, "err", err)
		m.end = outcome{err: fault.Stopping(m.key(), m.new.ID)}
		m.close()
	}
	return err == nil
}

// settle ends a message by what the spool of its agent says. The agent is gone, or its turn
// is over. If the spool shows that the turn never began, settle puts the message back to its
// place in the queue.
func (m *delivery) settle(a journal.Attempt) error {
	e, again, err := m.d.evidence(m, a)
	if err != nil {
		return err
	}
	if again {
		if err := m.d.o.Store.Persist(func() error { return m.d.o.Store.Requeue(m.new.ID, "its turn had not begun when the daemon ended") }); err != nil {
			return err
		}
		m.d.o.Log.Info("message put back", "message", m.new.ID)
		return nil
	}
	if e.res != nil && e.res.Outcome == turn.RateLimited {
		m.d.limited(m.new.Team, e.res)
		if m.putsOff(e.res) {
			return m.putOff()
		}
	}
	m.end = e
	end := journal.End{State: e.state, Result: e.result(), At: time.Now(), By: "recovery", Note: "the daemon ended during its turn"}
	again, err = m.record(end)
	if err != nil {
		return err
	}
	if e.res != nil {
		m.d.o.Pool.Spend(m.new.Team, turn.Dollars(e.res.CostUSD))
	}
	for i := range e.own {
		m.d.o.Agents.OwnTurn(m.key(), a.Process, &e.own[i])
	}
	if again {
		return nil
	}
	m.keepOutput(claude.OpenStream(m.d.o.Agents.Follower, m.d.o.Paths.Spool, a.Process, a.Offset, a.UUID, 0, e.outputEnd))
	if e.res != nil {
		m.d.o.Conversations.EndRewind(m.key(), e.res.SessionID)
	}
	if e.state == journal.Done {
		m.d.o.Conversations.Use(m.key(), e.res, m.ownModel())
	}
	m.d.o.Log.Info("message settled", "message", m.new.ID, "state", string(e.state))
	return nil
}

// settleOrphan settles the message of an orphan that is gone, or whose turn is over.
func (m *delivery) settleOrphan() {
	m.mu.Lock()
	err := m.settle(*m.orphan.Load())
	for claude.Scarce(err) && sys.Sleep(m.d.o.Store.Waiting(), store.RetrySpace) {
		err = m.settle(*m.orphan.Load())
	}
	if err == nil {
		m.needSpool("")
	}
	over := m.over
	m.mu.Unlock()
	switch {
	case err != nil:
		m.d.o.Log.Error("message not settled", "message", m.new.ID, "err", err)
		m.end = outcome{err: fault.Lost(m.key(), m.new.ID)}
		m.close()
	case over:
		m.close()
	default:
		m.orphan.Store(nil)
		m.rerun()
	}
}

// evidence reads from the spool how a turn of an earlier daemon ended; again is set if it
// never began. An error means that the spool cannot be read at present.
func (d *Dispatcher) evidence(m *delivery, a journal.Attempt) (e outcome, again bool, err error) {
	ev, _, err := d.o.Agents.ReadSpool(&a)
	switch {
	case claude.Scarce(err):
		return outcome{}, false, err
	case err == nil && ev.Result != nil:
		e := m.verdict(ev.Result, nil)
		e.outputEnd, e.own = ev.End, append(ev.Own, ev.Later...)
		return e, false, nil
	case err == nil && ev.NotBegun && a.Boot == d.o.Boot && d.o.Boot != "":
		return outcome{}, true, nil
	}
	why := "its agent ended without a result while no daemon was there"
	if errors.Is(err, fs.ErrNotExist) {
		why = "the output of its agent is gone"
	} else if err != nil {
		why = "the output of its agent cannot be read: " + err.Error()
	}
	unknown := fault.Of(m.key(), m.new.ID, fmt.Errorf("%w: %s", pool.ErrUnknown, why))
	return outcome{state: journal.Unknown, err: unknown}, false, nil
}
