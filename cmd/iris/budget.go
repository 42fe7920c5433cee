package main

import (
	"context"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
	"iris/pool/turn"
)

// printBudgets prints the budgets that limit a team; all, if its name is empty.
func printBudgets(ctx context.Context, opts *usageOptions, q *ipc.UsageQuery, s streams) error {
	switch {
	case q.Session != nil:
		return usagef("name the team alone", "a budget is that of a team, not of a session")
	case q.By != usageBy[0] || !q.Since.IsZero():
		return usagef("leave --by and --since out", "--budget shows the day and the month that it is now")
	}
	all, err := opts.verbs().Budgets(ctx, q.Team)
	if err != nil {
		return orDirectory(q.Team, err)
	}
	switch {
	case opts.json:
		return terminal.JSON(s.out, ipc.BudgetList{Budgets: orEmpty(all)})
	case len(all) == 0:
		say(s.err, "no budget is set; \"budget\" of the configuration sets one (iris-config(5))")
		return nil
	}
	var rows [][]string
	for _, b := range all {
		of := b.Team
		if of == "" {
			of = "all teams"
		}
		usd := func(x float64) string { return turn.Dollars(x).String() }
		rows = append(rows, []string{of, b.Period, usd(b.LimitUSD), usd(b.SpentUSD), usd(b.ReservedUSD), usd(b.LeftUSD), b.Ends.Local().Format("2006-01-02 15:04")})
	}
	return terminal.Table(s.out, []string{"BUDGET", "PERIOD", "LIMIT", "SPENT", "RESERVED", "LEFT", "ENDS"}, rows)
}
