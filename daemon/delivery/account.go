package delivery

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool"
)

// Accounts answers accounts: those of the configured teams, and those that are limited.
func (d *Dispatcher) Accounts(_ context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	teams := map[string][]string{}
	for _, name := range d.o.Config().TeamNames() {
		if account := d.o.Agents.Account(name); account != "" {
			teams[account] = append(teams[account], name)
		}
	}
	list := ipc.AccountList{Accounts: d.LimitedAccounts()}
	for _, a := range list.Accounts {
		delete(teams, a.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(teams)) {
		list.Accounts = append(list.Accounts, ipc.Account{Name: name, State: "open", Teams: teams[name], Used: d.used(name)})
	}
	slices.SortFunc(list.Accounts, func(a, b ipc.Account) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// OpenAccount answers account.open.
func (d *Dispatcher) OpenAccount(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.AccountName
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	limited := d.LimitedAccounts()
	i := slices.IndexFunc(limited, func(a ipc.Account) bool { return a.Name == p.Name })
	if i < 0 || !d.o.Pool.Open(p.Name) {
		e := fault.New(ipc.CodeNotFound, "not-limited", fmt.Errorf("account %q is not limited", ipc.Clip(p.Name, 100)))
		e.Data.Hint = `"iris account" lists the accounts`
		return nil, e
	}
	d.recordGates()
	return limited[i], nil
}

// LimitedAccounts returns the accounts that are limited, by name.
func (d *Dispatcher) LimitedAccounts() []ipc.Account {
	all := []ipc.Account{}
	for _, g := range d.o.Pool.Gates() {
		all = append(all, d.wireAccount(&g))
	}
	return all
}

func (d *Dispatcher) wireAccount(g *pool.Gate) ipc.Account {
	a := ipc.Account{
		Name: g.Account, State: "limited", Resets: ipc.Moment(g.Until), Why: g.Why, Text: g.String(),
		Message: g.Message, Waiting: g.Waiting, Teams: append([]string{}, g.Teams...), Used: d.used(g.Account),
	}
	if g.Trying {
		a.State = "trying"
	}
	return a
}

// used is how much of its limits an account has used, as last reported.
func (d *Dispatcher) used(account string) (all []ipc.Window) {
	for _, w := range d.o.Pool.Utilization()[account] {
		all = append(all, ipc.Window{Name: w.Name, Utilization: w.Utilization, Resets: ipc.Moment(w.Resets)})
	}
	return all
}
