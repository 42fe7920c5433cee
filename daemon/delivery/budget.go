package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"iris/config"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/turn"
)

// learnMost is how many of the last messages say what turns of their teams cost.
const learnMost = 1000

// BudgetOf is a budget as the pool counts.
func BudgetOf(b config.Budget) pool.Budget {
	return pool.Budget{Day: turn.Dollars(b.Day), Month: turn.Dollars(b.Month)}
}

// restoreBudgets tells the pool what was spent in this month, and what the last turns cost.
func (d *Dispatcher) restoreBudgets() error {
	now := time.Now()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.Local)
	var spent []pool.Spent
	for s, err := range d.o.Store.Spent(month) {
		if ok, err := d.readable(err); err != nil {
			return err
		} else if ok {
			spent = append(spent, pool.Spent{Team: s.Team, At: s.From, Cost: s.Cost})
		}
	}
	turns, err := d.lastTurns()
	if err != nil {
		return err
	}
	d.o.Pool.RestoreSpent(spent, turns)
	return nil
}

// lastTurns returns what the last messages cost, oldest first; nothing if there is no budget.
func (d *Dispatcher) lastTurns() (turns []pool.Spent, err error) {
	if !hasBudget(d.o.Config()) {
		return nil, nil
	}
	ended := journal.Filter{States: []journal.State{journal.Done, journal.Failed, journal.Cancelled}, Limit: learnMost}
	for msg, err := range d.o.Store.List(ended) {
		if ok, err := d.readable(err); err != nil {
			return nil, err
		} else if ok && len(msg.Attempts) > 0 && msg.Outcome != string(turn.RateLimited) && (msg.CostUSD > 0 || msg.State == journal.Done) {
			turns = append(turns, pool.Spent{Team: msg.Team, At: msg.Ended(), Cost: turn.Dollars(msg.CostUSD)})
		}
	}
	slices.Reverse(turns)
	return turns, nil
}

// hasBudget reports whether any budget is set.
func hasBudget(cfg *config.Config) bool {
	for _, t := range cfg.Teams {
		if t.Budget != (config.Budget{}) {
			return true
		}
	}
	return cfg.Budget != config.Budget{}
}

// Budgets answers budgets.
func (d *Dispatcher) Budgets(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.BudgetQuery
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	all := d.budgets()
	if p.Team != "" {
		k, err := d.key(p.Team, "")
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(b ipc.Budget) bool { return b.Team != "" && b.Team != k.Team })
	}
	return ipc.BudgetList{Budgets: all}, nil
}

func (d *Dispatcher) budgets() []ipc.Budget {
	cfg := d.o.Config()
	all := d.appendBudgets([]ipc.Budget{}, "", cfg.Budget)
	for _, name := range cfg.TeamNames() {
		all = d.appendBudgets(all, name, cfg.Teams[name].Budget)
	}
	return all
}

// appendBudgets adds the limits of a team; of all teams, if its name is empty.
func (d *Dispatcher) appendBudgets(all []ipc.Budget, team string, set config.Budget) []ipc.Budget {
	if set == (config.Budget{}) {
		return all
	}
	limit, s := BudgetOf(set), d.o.Pool.Spending(team)
	add := func(period string, limit, spent turn.Cost, ends time.Time) {
		if limit == 0 {
			return
		}
		all = append(all, ipc.Budget{
			Team: team, Period: period, LimitUSD: limit.USD(), SpentUSD: spent.USD(), ReservedUSD: s.Reserved.USD(),
			LeftUSD: max(0, limit-spent-s.Reserved).USD(), Ends: ends,
		})
	}
	add("day", limit.Day, s.Day, s.DayEnds)
	add("month", limit.Month, s.Month, s.MonthEnds)
	return all
}

// BudgetWarnings names the budgets of which four fifths or more are spent.
func (d *Dispatcher) BudgetWarnings() (all []string) {
	for _, b := range d.budgets() {
		spent, limit := turn.Dollars(b.SpentUSD), turn.Dollars(b.LimitUSD)
		if !pool.NearlySpent(spent, limit) {
			continue
		}
		of := ""
		if b.Team != "" {
			of = " of team " + b.Team
		}
		all = append(all, fmt.Sprintf("the %s's budget%s: %v of %v spent", b.Period, of, spent, limit))
	}
	return all
}
