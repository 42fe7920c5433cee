package main

import (
	"context"
	"slices"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
	"iris/pool/turn"
)

// printBudgets prints the budgets of a team; all, if its name is empty.
func printBudgets(ctx context.Context, opts *usageOptions, team string, s streams) error {
	all, err := opts.verbs().Budgets(ctx)
	if err != nil {
		return err
	}
	if team != "" {
		all = slices.DeleteFunc(all, func(b ipc.Budget) bool { return b.Team != team })
	}
	switch {
	case opts.json:
		return terminal.JSON(s.out, orEmpty(all))
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
