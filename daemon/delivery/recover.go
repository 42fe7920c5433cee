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
)

// Recover takes up what an earlier daemon has left: agents that finish their
// turns, messages whose turn had begun, and messages that wait. It is done
// before the socket answers, and may be cut short and done again at any point. Of the
// program before this one it gets what the pool was, nil for none, and each agent.
func (d *Dispatcher) Recover(h *pool.Handoff, handed func(process string) *claude.Handed) error {
	last, err := d.o.Store.LastID()
	if err != nil {
		return err
	}
	d.inflight.ids.after(last)
	if err := d.takeUp(h, handed); err != nil {
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
	if err := d.recoverQueued(); err != nil {
		return err
	}
	d.o.Agents.CleanSpools()
	return nil
}

// readable tells a damaged message, which is reported and passed over, from an
// error that ends the recovery.
func (d *Dispatcher) readable(err error) (ok bool, fatal error) {
	if damage, is := errors.AsType[*journal.DamageError](err); is && damage.ID != "" {
		d.o.Log.Error("message passed over", "message", damage.ID, "err", err)
		return false, nil
	}
	return err == nil, err
}

// recoverRunning settles the messages whose turn had begun. One whose agent
// still lives waits for the end of that.
func (d *Dispatcher) recoverRunning(left map[string]*agents.Orphan) error {
	for msg, err := range d.o.Store.Running() {
		if ok, err := d.readable(err); err != nil {
			return err
		} else if !ok || d.o.Agents.HasTurn(msg.Last().Process, msg.ID) { // the latter goes on, or has ended by now
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

// restored is the delivery of a message that an earlier daemon accepted.
func (d *Dispatcher) restored(msg *journal.Message) *delivery {
	m := d.newDelivery(journal.New{
		ID: msg.ID, Team: msg.Team, Session: msg.Session, Options: msg.Options, At: msg.Accepted(),
	})
	m.order, m.size, m.accepted, m.recorded = msg.Seq, msg.Body.Size, true, closed
	m.attempts = len(msg.Attempts)
	m.retried.Store(msg.Retried())
	return m
}

// closed is the recorded of every message that is on disk already.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// recoverUnknown bars the conversations that an unknown message holds, and queues those
// again whose senders want that and that an earlier iris has left.
func (d *Dispatcher) recoverUnknown() error {
	for msg, err := range d.o.Store.Unresolved() {
		if ok, err := d.readable(err); err != nil {
			return err
		} else if !ok {
			continue
		}
		switch {
		case msg.Options.OnUnknown == "hold":
			d.hold(d.restored(&msg))
		case msg.Options.OnUnknown == "retry" && !msg.Retried():
			if _, err := d.o.Store.Reattempt(msg.ID, journal.Change{At: time.Now(), By: "on_unknown"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// many is how many messages leave so much garbage when they are taken up that
// it is given back at once.
const many = 1000

// recoverQueued hands what waits to the pool, first come first.
func (d *Dispatcher) recoverQueued() error {
	n := 0
	for msg, err := range d.o.Store.Queued() {
		if ok, err := d.readable(err); err != nil {
			return err
		} else if !ok || d.inflight.live.get(msg.ID) != nil { // the latter was put back a moment ago
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

// resume hands a message that was accepted long ago to the pool, at its old place. It
// reports false when the daemon can do no more for the message, which stays queued for
// the next one.
func (d *Dispatcher) resume(m *delivery) bool {
	_, err := m.submit(pool.Turn{AcceptedSeq: m.order})
	if err != nil {
		d.o.Log.Error("message not taken up", "message", m.new.ID, "err", err)
		m.end = outcome{err: fault.Stopping(m.key(), m.new.ID)}
		m.close()
	}
	return err == nil
}

// settle ends a message from what its agent, which is gone or done with it, has
// written; or puts it back to its place when that proves that its turn never began.
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
	m.end = e
	end := journal.End{State: e.state, Result: e.result(), At: time.Now(), By: "recovery", Note: "the daemon ended during its turn"}
	again, err = m.record(end)
	if err != nil {
		return err
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
		m.d.o.Conversations.Use(m.key(), e.res.SessionID, m.ownModel())
	}
	m.d.o.Log.Info("message settled", "message", m.new.ID, "state", string(e.state))
	return nil
}

// settleOrphan settles the message of an orphan that has gone, or whose turn is
// over.
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

// evidence is how a turn ended whose daemon and agent are gone; again is set
// when it never began. The error says that nobody can look at present.
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
