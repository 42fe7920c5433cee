package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"slices"
	"time"

	"iris/daemon/journal"
	"iris/pool"
	"iris/pool/claude"
)

// recover takes up what an earlier daemon has left: agents that finish their
// turns, messages whose turn had begun, and messages that wait. It is done
// before the socket answers, and may be cut short and done again at any point.
func (d *Daemon) recover() error {
	last, err := d.journal.LastID()
	if err != nil {
		return err
	}
	d.ids.after(last)
	if err := d.takeUp(); err != nil {
		return err
	}
	left, err := d.findLeftovers()
	if err != nil {
		return err
	}
	if err := d.recoverRunning(left); err != nil {
		return err
	}
	for _, l := range left {
		d.fence(l)
	}
	again, err := d.recoverUnknown()
	if err != nil {
		return err
	}
	if err := d.recoverQueued(); err != nil {
		return err
	}
	for _, n := range again {
		d.again(n)
	}
	d.cleanSpools()
	d.cleanTrials()
	d.pool.Thaw()
	return nil
}

// readable tells a damaged message, which is reported and passed over, from an
// error that ends the recovery.
func (d *Daemon) readable(err error) (ok bool, fatal error) {
	if damage, is := errors.AsType[*journal.DamageError](err); is && damage.ID != "" {
		d.log.Error("message passed over", "message", damage.ID, "err", err)
		return false, nil
	}
	return err == nil, err
}

// recoverRunning settles the messages whose turn had begun. One whose agent
// still lives waits for the end of that.
func (d *Daemon) recoverRunning(left map[string]*leftover) error {
	for msg, err := range d.journal.Running() {
		if ok, err := d.readable(err); err != nil {
			return err
		} else if !ok || d.adopted[msg.Last().Process] == msg.ID { // the latter goes on, or has ended by now
			continue
		}
		m := d.restored(&msg)
		if l := left[msg.Last().Process]; l != nil {
			last := msg.Last()
			m.orphan.Store(&last)
			l.key, l.message = m.key(), m
			m.needs(l.Process)
			d.live.add(m)
			continue
		}
		if err := m.settle(msg.Last()); err != nil {
			return err
		}
	}
	return nil
}

// restored is the delivery of a message that an earlier daemon accepted.
func (d *Daemon) restored(msg *journal.Message) *delivery {
	m := d.newDelivery(journal.New{
		ID: msg.ID, Team: msg.Team, Session: msg.Session, Options: msg.Options, At: msg.Accepted(),
	})
	m.order, m.size, m.accepted, m.recorded = msg.Seq, msg.Body.Size, true, closed
	return m
}

// closed is the recorded of every message that is on disk already.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// recoverUnknown bars the conversations that an unknown message holds. It
// returns the messages that their senders want to run again and that have not.
func (d *Daemon) recoverUnknown() (again []journal.New, err error) {
	for msg, err := range d.journal.Unresolved() {
		if ok, err := d.readable(err); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		m := d.restored(&msg)
		switch msg.Options.OnUnknown {
		case "hold":
			d.hold(m)
		case "retry":
			again = append(again, m.new)
		}
	}
	if len(again) == 0 {
		return nil, nil
	}
	sent, err := d.sentAgain(again[0].ID)
	if ok, fatal := d.readable(err); !ok { // one of them may be in what cannot be read
		d.log.Error("unknown messages not sent again", "messages", len(again))
		return nil, fatal
	}
	return slices.DeleteFunc(again, func(n journal.New) bool { return sent[n.ID] }), nil
}

// sentAgain returns the messages that one after the message first repeats.
func (d *Daemon) sentAgain(first string) (map[string]bool, error) {
	sent := map[string]bool{}
	for m, err := range d.journal.List(journal.Filter{After: first}) {
		if err != nil {
			return nil, err
		}
		sent[m.Options.RetryOf] = true
	}
	return sent, nil
}

// many is how many messages leave so much garbage when they are taken up that
// it is given back at once.
const many = 1000

// recoverQueued hands what waits to the pool, first come first.
func (d *Daemon) recoverQueued() error {
	n := 0
	for msg, err := range d.journal.Queued() {
		if ok, err := d.readable(err); err != nil {
			return err
		} else if !ok || d.live.get(msg.ID) != nil { // the latter was put back a moment ago
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

// resume hands a message that an earlier daemon accepted to the pool.
func (d *Daemon) resume(m *delivery) {
	if _, err := m.submit(&pool.Turn{Kept: m.order}); err != nil {
		d.log.Error("message not taken up", "message", m.new.ID, "err", err) // it stays queued for the next daemon
	}
}

// settle ends a message from what its agent, which is gone, has written; or puts
// it back to its place when that proves that its turn never began.
func (m *delivery) settle(a journal.Attempt) error {
	e, again, err := m.d.evidence(m, a)
	if err != nil {
		return err
	}
	if again {
		if err := m.d.persist(func() error { return requeue(m.d.journal, m.new.ID, "its turn had not begun when the daemon ended") }); err != nil {
			return err
		}
		m.d.log.Info("message put back", "message", m.new.ID)
		return nil
	}
	m.end = e
	end := journal.End{State: e.state, Result: e.result(), At: time.Now(), By: "recovery", Note: "the daemon ended during its turn"}
	if err := m.record(end); err != nil {
		return err
	}
	m.over = true
	m.keepOutput(claude.OpenStream(m.d.follower, m.d.opts.Paths.Spool, a.Process, a.Offset, 0))
	if e.state == journal.Done {
		m.d.used(m.key(), e.res.SessionID, m.ownModel())
	}
	m.d.log.Info("message settled", "message", m.new.ID, "state", string(e.state))
	return nil
}

// settleOrphan settles the message of a leftover that has gone.
func (m *delivery) settleOrphan() {
	m.mu.Lock()
	err := m.settle(*m.orphan.Load())
	for claude.Scarce(err) && pause(m.d.patient, retryRoom) {
		err = m.settle(*m.orphan.Load())
	}
	if err == nil {
		m.needs("")
	}
	over := m.over
	if over && m.end.state == journal.Unknown {
		m.unknown()
	}
	m.mu.Unlock()
	switch {
	case err != nil:
		m.d.log.Error("message not settled", "message", m.new.ID, "err", err)
		m.end = ended{err: lostError(m.key(), m.new.ID)}
		m.close()
	case over:
		m.close()
	default:
		m.orphan.Store(nil)
		m.d.resume(m)
	}
}

// evidence is how a turn ended whose daemon and agent are gone; again is set
// when it never began. The error says that nobody can look at present.
func (d *Daemon) evidence(m *delivery, a journal.Attempt) (e ended, again bool, err error) {
	ev, err := claude.Settle(d.opts.Paths.Spool, a.Process, a.Offset)
	switch {
	case claude.Scarce(err):
		return ended{}, false, err
	case err == nil && ev.Result != nil:
		return m.verdict(ev.Result, nil), false, nil
	case err == nil && ev.NotBegun && a.Boot == d.boot && d.boot != "":
		return ended{}, true, nil
	}
	why := "its agent ended without a result while no daemon was there"
	if errors.Is(err, fs.ErrNotExist) {
		why = "the output of its agent is gone"
	} else if err != nil {
		why = "the output of its agent cannot be read: " + err.Error()
	}
	unknown := d.failure(m.key(), m.new.ID, fmt.Errorf("%w: %s", pool.ErrUnknown, why))
	return ended{state: journal.Unknown, err: unknown}, false, nil
}
