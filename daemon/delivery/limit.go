package delivery

import (
	"cmp"
	"reflect"
	"sync"
	"time"

	"iris/daemon/agents"
	"iris/daemon/journal"
	"iris/pool"
	"iris/pool/turn"
)

// gates keeps the accounts that are limited in the journal.
type gates struct {
	mu       sync.Mutex     // held while they are recorded, which may take until the disk has room
	recorded []journal.Gate // as the journal has them; protected by mu
	used     []journal.Used // how much of their limits accounts have used, as the journal has it; protected by mu
}

// restoreGates closes the gates that an earlier daemon has recorded.
func (d *Dispatcher) restoreGates() error {
	recorded, err := d.o.Store.Gates()
	if err != nil {
		return d.o.Store.Heed(err)
	}
	var all []pool.Gate
	for _, g := range recorded {
		all = append(all, pool.Gate{Account: g.Account, Until: g.Until, Why: g.Why, Tries: g.Tries, Teams: g.Teams})
	}
	d.gates.recorded = recorded
	d.o.Pool.RestoreGates(all)
	return nil
}

// recordGates records the accounts that are limited now, if they have changed. It is called
// after a turn, before its end is on record: if the daemon dies in between, the spool of the
// agent shows the limit again.
func (d *Dispatcher) recordGates() {
	d.gates.mu.Lock()
	defer d.gates.mu.Unlock()
	if !d.o.Pool.Limits() && len(d.gates.recorded) == 0 {
		return
	}
	var now []journal.Gate
	for _, g := range d.o.Pool.Gates() {
		now = append(now, journal.Gate{Account: g.Account, Until: g.Until, Why: g.Why, Tries: g.Tries, Teams: g.Teams})
	}
	if reflect.DeepEqual(now, d.gates.recorded) {
		return
	}
	if err := d.o.Store.Persist(func() error { return d.o.Store.SetGates(now) }); err != nil {
		d.o.Log.Error("limits of accounts not recorded", "err", err)
		return
	}
	d.gates.recorded = now
}

// heedTurn does what follows for the account of a team from the end of a turn.
func (d *Dispatcher) heedTurn(team string, res *turn.Result) {
	d.recordGates()
	if res == nil {
		return
	}
	if res.Outcome == turn.RateLimited {
		d.tellLimited()
	}
	if account, _ := d.o.Pool.Account(team); account != "" && res.Windows != nil {
		d.o.Pool.SetUtilization(account, res.Windows)
		d.recordUsed()
	}
}

// limitOf is what the pool is told about a turn that reports a limit.
func limitOf(res *turn.Result) *pool.Limit {
	return &pool.Limit{Until: res.Resets, Why: cmp.Or(res.Limit, "rate limit")}
}

// limited closes the gate of an account because of a turn of an earlier daemon, unless the
// limit has been reset since.
func (d *Dispatcher) limited(team string, res *turn.Result) {
	account := d.o.Agents.KnowAccount(team)
	reset := !res.Resets.IsZero() && !res.Resets.After(time.Now())
	if account != "" && !reset {
		d.o.Pool.Limit(account, *limitOf(res))
		d.recordGates()
	}
}

// tellLimited acts on messages whose account has just been limited: their senders are told,
// and those that do not want to wait end.
func (d *Dispatcher) tellLimited() {
	for _, m := range d.inflight.live.all() {
		select {
		case <-m.recorded:
			m.heedLimit()
		default: // its sender is told with the id
		}
	}
}

// heedLimit tells the waiting calls that the account of the message is limited, or ends the
// message if it is not to wait for that. It does nothing if the account is not limited.
func (m *delivery) heedLimit() {
	g, limited := m.d.o.Pool.Limited(m.new.ID)
	if !limited {
		return
	}
	if m.waitsForLimit() {
		m.tellHeld()
	} else if m.endLimited(g) {
		m.d.o.Pool.Cancel(m.new.ID)
	}
}

// waitsForLimit reports whether the message is to wait while its account is limited.
func (m *delivery) waitsForLimit() bool {
	team := agents.TeamSettings(m.d.o.Config(), m.new.Team)
	return cmp.Or(m.new.Options.OnLimit, team.OnLimit) != "fail"
}

// endLimited records that the message ends because its account is limited, unless its turn
// has begun.
func (m *delivery) endLimited(g pool.Gate) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.accepted || m.running || m.over {
		return false
	}
	res := &turn.Result{Outcome: turn.RateLimited, Err: "account " + g.Account + " is " + g.String(), Resets: g.Until, Limit: g.Why}
	m.end = outcome{state: journal.Failed, res: res}
	if _, err := m.record(journal.End{State: journal.Failed, Result: m.end.result(), At: time.Now()}); err != nil {
		m.end = outcome{}
		return false
	}
	return true
}

// putsOff reports whether the message waits for the reset and is then sent again: its turn
// has hit a limit before anything was done in it.
func (m *delivery) putsOff(res *turn.Result) bool {
	if res == nil || res.Outcome != turn.RateLimited || !res.NothingDone || !m.waitsForLimit() {
		return false
	}
	account, _ := m.d.o.Pool.Account(m.new.Team)
	return account != ""
}

// putOff puts the message back to the head of its queue for a second attempt. The caller
// holds mu.
func (m *delivery) putOff() error {
	var now journal.Message
	err := m.d.o.Store.Persist(func() (err error) {
		const why = "its account was limited before anything was done in the turn"
		if err = m.d.o.Store.Requeue(m.new.ID, why); err == nil {
			now, err = m.d.o.Store.Message(m.new.ID)
		}
		return err
	})
	if err == nil {
		m.d.o.Log.Info("message put off", "message", m.new.ID, "team", m.new.Team)
		m.anew(&now)
	}
	return err
}

// waitsFor says what a queued message waits for because its conversation is held, its
// account is limited or a budget does not allow it, and until when, or it is spare; empty if
// it is none of that.
func (d *Dispatcher) waitsFor(id string) (on string, resets time.Time) {
	if on := d.o.Pool.Held(id); on != "" {
		return on, time.Time{}
	}
	if g, limited := d.o.Pool.Limited(id); limited {
		return "account " + g.Account + ", " + g.String(), g.Until
	}
	if b := d.o.Pool.Unpaid(id); b != nil {
		_, on = d.o.Pool.Position(id)
		return on, b.Ends
	}
	return d.o.Pool.SpareWaits(id), time.Time{}
}
