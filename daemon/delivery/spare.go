package delivery

import (
	"cmp"
	"slices"
	"time"

	"iris/daemon/journal"
	"iris/pool"
	"iris/pool/turn"
)

// spare reports whether the message runs only while its account has capacity to spare.
func (m *delivery) spare() bool {
	if set := m.new.Options.Spare; set != nil {
		return *set
	}
	t := m.d.o.Config().Teams[m.new.Team]
	return t != nil && t.Spare
}

// knowAccounts has the pool know the account of a turn that is to be submitted, if any
// message may wait for an account: it may be the first message of its team since the start.
// The first spare message may wait for messages of such teams.
func (d *Dispatcher) knowAccounts(t pool.Turn) {
	sparing := d.o.Pool.Spares()
	if t.Spare && !sparing {
		for _, m := range d.inflight.live.all() {
			d.o.Agents.KnowAccount(m.new.Team)
		}
	}
	if t.Spare || sparing || d.o.Pool.Limits() {
		d.o.Agents.KnowAccount(t.Key.Team)
	}
}

// restoreUsed has the pool know how much of its limits each account had used when it was
// last recorded.
func (d *Dispatcher) restoreUsed() error {
	used, err := d.o.Store.Used()
	if err != nil {
		return d.o.Store.Heed(err)
	}
	for _, u := range used {
		d.o.Pool.SetUtilization(u.Account, []turn.Window{{Name: u.Limit, Utilization: u.Utilization, Resets: u.Resets}})
	}
	d.gates.used = used
	return nil
}

// recordUsed records how much of their limits the accounts have used, unless the journal has
// about the same: not each turn is worth a write.
func (d *Dispatcher) recordUsed() {
	d.gates.mu.Lock()
	defer d.gates.mu.Unlock()
	var now []journal.Used
	for account, windows := range d.o.Pool.Utilization() {
		for _, w := range windows {
			now = append(now, journal.Used{Account: account, Limit: w.Name, Utilization: w.Utilization, Resets: w.Resets.Round(0)})
		}
	}
	slices.SortFunc(now, func(a, b journal.Used) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Limit, b.Limit))
	})
	if slices.EqualFunc(now, d.gates.used, alike) {
		return
	}
	if err := d.o.Store.Persist(func() error { return d.o.Store.SetUsed(now) }); err != nil {
		d.o.Log.Error("use of accounts not recorded", "err", err)
		return
	}
	d.gates.used = now
}

// alike reports whether two records differ by less than a percent and a minute.
func alike(a, b journal.Used) bool {
	percent := func(u journal.Used) int { return int(100 * u.Utilization) }
	return a.Account == b.Account && a.Limit == b.Limit && percent(a) == percent(b) && a.Resets.Sub(b.Resets).Abs() < time.Minute
}
