package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"iris/ipc"
)

// onBudget is what the teams want that have a budget.
var onBudget = map[string]string{team(teams - 2): "fail", team(teams - 1): "wait"}

const (
	mostTurns  = 12     // that a new budget allows
	turnUSD    = 0.0055 // what most turns of the scripted agent cost, or a bit more
	wealthUSD  = 900    // more than all turns of a run
	tooDearUSD = 1000   // what a message may cost that no budget allows
	penniesUSD = 1e-5   // by which sums may differ that were rounded
)

// budget is one that a team had: from when it may have held until when it may not have been
// replaced.
type budget struct {
	usd         float64
	from, until time.Time
}

// setBudget sets the budget of a team, which holds when the configuration is written and
// reloaded.
func (h *home) setBudget(of string, usd float64) {
	h.budgets[of] = append(h.budgets[of], budget{usd: usd, from: time.Now()})
}

// writeBudget writes the budget of a team into its part of the configuration.
func (h *home) writeBudget(b *strings.Builder, of string) {
	if set := h.budgets[of]; len(set) > 0 {
		fmt.Fprintf(b, "budget = { day = %f }\non_budget = %q\n", set[len(set)-1].usd, onBudget[of])
	}
}

// changeBudgets does what a person does about budgets that are spent: raises some of them.
// Sometimes it lowers one below what is spent.
func (d *driver) changeBudgets(ctx context.Context) error {
	list, err := call[ipc.BudgetList](ctx, d.h, ipc.MethodBudgets, struct{}{})
	if err != nil {
		return err
	}
	changed := false
	for _, b := range list.Budgets {
		usd := 0.0
		switch {
		case b.Team == "":
		case b.LeftUSD < turnUSD && d.r.IntN(2) == 0:
			usd = b.SpentUSD + float64(1+d.r.IntN(mostTurns))*turnUSD
		case b.LeftUSD >= turnUSD && d.r.IntN(12) == 0:
			usd = max(turnUSD, b.SpentUSD/2)
		}
		if usd > 0 {
			d.h.setBudget(b.Team, usd)
			changed = true
		}
	}
	if !changed {
		return nil
	}
	d.report.budgets++
	return d.reloadBudgets(ctx)
}

// reloadBudgets has the daemon take over the budgets.
func (d *driver) reloadBudgets(ctx context.Context) error {
	if err := d.h.configure(); err != nil {
		return err
	}
	if _, err := call[ipc.Reloaded](ctx, d.h, ipc.MethodReload, struct{}{}); err != nil {
		return fmt.Errorf("reload with other budgets: %w", err)
	}
	for _, set := range d.h.budgets {
		for i := range set[:len(set)-1] {
			if set[i].until.IsZero() {
				set[i].until = time.Now()
			}
		}
	}
	return nil
}

// enrich has every message be allowed by its budget.
func (d *driver) enrich(ctx context.Context) error {
	for of := range onBudget {
		d.h.setBudget(of, wealthUSD)
	}
	return d.reloadBudgets(ctx)
}

// checkSpent kills the last daemon and compares what the next one says was spent with what
// the messages and the agents' own turns cost. It returns the next one. The last one may
// have said more: a turn whose cost nobody knows counts as what was reserved for it.
func (d *driver) checkSpent(ctx context.Context, daemon process, records []record) (process, error) {
	before, err := call[ipc.BudgetList](ctx, d.h, ipc.MethodBudgets, struct{}{})
	if err != nil {
		return daemon, err
	}
	d.h.kill(daemon)
	if err := d.h.gone(ctx, daemon); err != nil {
		return daemon, err
	}
	if daemon, err = d.h.start(ctx); err != nil {
		return daemon, err
	}
	list, err := call[ipc.BudgetList](ctx, d.h, ipc.MethodBudgets, struct{}{})
	if err != nil {
		return daemon, err
	}
	sums, err := call[ipc.UsageSums](ctx, d.h, ipc.MethodUsage, ipc.UsageQuery{By: "team"})
	if err != nil || len(records) == 0 || records[0].Accepted.Local().Day() != time.Now().Day() {
		return daemon, err // of another day is not in the budget
	}
	if n := 1 + len(onBudget); len(before.Budgets) != n || len(list.Budgets) != n {
		d.report.broken(&d.report.wrongSums, "budgets: %+v, and then %+v", before.Budgets, list.Budgets)
		return daemon, nil
	}
	for i, b := range list.Budgets {
		if said := before.Budgets[i]; said.SpentUSD < b.SpentUSD-penniesUSD {
			d.report.broken(&d.report.wrongSums, "team %q had spent %v, and %v after a kill", b.Team, said.SpentUSD, b.SpentUSD)
		}
		want := 0.0
		for i := range records {
			if b.Team == "" || records[i].Team == b.Team {
				want += records[i].CostUSD
			}
		}
		for _, s := range sums.Sums {
			if b.Team == "" || s.Team == b.Team {
				want += s.Own.CostUSD
			}
		}
		if diff := b.SpentUSD - want; diff > penniesUSD || diff < -penniesUSD || want == 0 {
			d.report.broken(&d.report.wrongSums, "team %q has spent %v, as its budget says, and its turns cost %v", b.Team, b.SpentUSD, want)
		}
	}
	return daemon, nil
}

// refusedByBudget reports whether a message has failed since a budget did not allow it.
func refusedByBudget(rec *record) bool {
	return rec.State == "failed" && strings.Contains(rec.Error, "budget of team "+rec.Team+" does not allow")
}

// endedByBudget judges a message that a budget has not allowed: its sender or its team wants
// that, and it has not run since it was queued.
func (o *oracle) endedByBudget(m *message, s *story, rec *record) {
	o.report.unpaid++
	if onBudget[rec.Team] != "fail" && m.send.Options.MaxCost == 0 {
		o.report.broken(&o.report.noProof, "%s: message %s was to wait, and failed: %s", m.text.token, rec.ID, rec.Error)
	}
	ran := 0
	for _, step := range rec.History {
		if step.State == "running" {
			ran++
		}
	}
	if n := len(rec.History); n < 2 || rec.History[n-2].State != "queued" || len(s.records) == 1 && len(s.begun) > ran {
		o.report.broken(&o.report.overspent, "%s: a budget did not allow message %s, and it has run in %s", m.text.token, rec.ID, places(s.begun))
	}
}

// spending looks for turns that have begun although no budget that may have held then was
// above what the messages of the team had cost that had ended before. What the turns beside
// it cost is not among that: they had not ended.
func (o *oracle) spending() {
	for of := range onBudget {
		set := o.budgets[of]
		for i := range o.records {
			if r := &o.records[i]; r.Team == of {
				o.afforded(r, set)
			}
		}
	}
}

func (o *oracle) afforded(r *record, set []budget) {
	for _, step := range r.History {
		if step.State != "running" {
			continue
		}
		before, most := step.At.Add(-onItsWay), 0.0
		for _, b := range set {
			if b.from.Before(step.At) && (b.until.IsZero() || b.until.After(before)) {
				most = max(most, b.usd)
			}
		}
		if spent := o.spentBefore(r.Team, before); spent >= most {
			o.report.broken(&o.report.overspent, "message %s began at %v, when team %s had spent %v of %v", r.ID, step.At, r.Team, spent, most)
		}
	}
}

// spentBefore is what the messages of a team cost that had their last end before a time of the
// same day.
func (o *oracle) spentBefore(of string, at time.Time) (usd float64) {
	day := func(t time.Time) string { return t.Local().Format(time.DateOnly) }
	for i := range o.records {
		r := &o.records[i]
		if n := len(r.History); r.Team != of || n == 0 || !final[r.State] {
			continue
		} else if end := r.History[n-1].At; end.Before(at) && day(end) == day(at) {
			usd += r.CostUSD
		}
	}
	return usd
}

// dear has a message end when it has cost an amount: one that it does not reach, or one that
// no budget allows.
func (s *sender) dear(p *ipc.Send) {
	if onBudget[p.Team] != "" && s.r.IntN(16) == 0 {
		p.Options.MaxCost = []float64{2 * turnUSD, tooDearUSD}[s.r.IntN(2)]
	}
}
