package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

// usageBy are the ways to sum up.
var usageBy = []string{"team", "session", "day"}

type usageOptions struct {
	*globals
	by    string
	since moment
	json  bool

	budget bool
}

func (o *usageOptions) addFlags(f *pflag.FlagSet) {
	o.by = usageBy[0]
	f.Var(wordFlag(&o.by, usageBy), "by", "by team, session or day; by default by team")
	f.Var(&o.since, "since", "only messages accepted since then: 90m, 7d; or 2026-11-23, or 2026-11-23T18:00:00Z")
	f.BoolVar(&o.budget, "budget", false, "show the budgets instead: limit, spent, reserved, left")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

func newUsageCmd(g *globals) *cobra.Command {
	opts := usageOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "usage [TEAM[@SESSION]]",
		Short:      "Sum up messages, tokens and costs",
		SuggestFor: []string{"cost", "costs", "tokens", "stats"},
		Long: `Sum up the messages that have ended, the tokens that the model read and wrote,
and the cost that Claude Code reports. TEAM alone stands for all sessions of the
team, TEAM@SESSION for this session.

INPUT counts the tokens that the model read, CACHE READ and CACHE WRITE those of
its cache, OUTPUT those that it wrote.

OWN counts the turns that nobody sent, and OWN COST is their cost, where there
are any: an agent's scheduler began them, or the end of background work, or a
message of another session of Claude Code. They are in no other column, and
count for the day on which they ended.

Days are those of the local calendar; a message counts for the day on which it
was accepted. Messages that ran in a session of their own (--fresh) are TEAM@~.
The sums cover messages on record: not messages that wait or run, and not old
messages that were removed, after 35 days unless the configuration says
otherwise. A damaged record is named on stderr and the status is 1.

--budget shows the limits that "budget" of the configuration sets for all teams
together and for single ones, with TEAM those that limit this team. There a turn
counts for the day on which it ended, also after its message was removed.
RESERVED is what the running turns are likely to cost.

JSON
  sums, an array of objects: team, session, day (as --by says), messages,
  cost_usd, usage (input_tokens, output_tokens, cache_read_tokens,
  cache_write_tokens), own (turns, cost_usd, usage: of turns that nobody sent);
  and total, an object of the last four. With --budget: budgets, an array of:
  team (unless it is of all teams), period (day, month), limit_usd, spent_usd,
  reserved_usd, left_usd, ends

EXIT STATUS
0 1 2 3 4`,
		Example: `  iris usage --since 7d --by day
  iris usage api --by session
  iris usage --since 2026-11-01 --json | jq .total.cost_usd
  iris usage --budget`,
		Args:              between(0, 1, "[TEAM[@SESSION]]"),
		ValidArgsFunction: completeTeams(g),
		RunE:              runs(&opts, runUsage),
	}
	opts.addFlags(cmd.Flags())
	completeWords(cmd, "by", usageBy)
	return cmd
}

// A usageView is a sum as --json prints it.
type usageView struct {
	Team     string     `json:"team,omitempty"`
	Session  *string    `json:"session,omitempty"`
	Day      string     `json:"day,omitempty"`
	Messages int64      `json:"messages"`
	CostUSD  float64    `json:"cost_usd"`
	Usage    ipc.Usage  `json:"usage"`
	Own      ipc.OwnSum `json:"own"`
}

// viewOf is a sum with its day in a time zone.
func viewOf(s *ipc.UsageSum, zone *time.Location) usageView {
	v := usageView{Team: s.Team, Session: s.Session, Messages: s.Messages, CostUSD: ipc.Cost(s.CostUSD), Usage: s.Usage, Own: s.Own}
	v.Own.CostUSD = ipc.Cost(s.Own.CostUSD)
	if s.From != nil {
		v.Day = s.From.In(zone).Format(time.DateOnly)
	}
	return v
}

func runUsage(ctx context.Context, opts *usageOptions, args []string, s streams) error {
	query := ipc.UsageQuery{By: opts.by, Since: opts.since.at(time.Now())}
	var err error
	if query.Team, query.Session, err = parseFilter(args); err != nil {
		return err
	}
	if opts.budget {
		return printBudgets(ctx, opts, &query, s)
	}
	found, err := opts.verbs().Usage(ctx, query)
	if err != nil {
		return orDirectory(query.Team, err)
	}
	sums := byDays(found.Sums, time.Local)
	var total ipc.UsageSum
	views := []usageView{}
	for i := range sums {
		total.Add(&sums[i])
		views = append(views, viewOf(&sums[i], time.Local))
	}
	if err := printUsageSums(s.out, opts, views, viewOf(&total, time.Local)); err != nil {
		return err
	}
	return reportDamage(s.err, found.Damaged)
}

// byDays joins sums of quarters of an hour, in order of time, to the days of a time
// zone. Other sums are unchanged.
func byDays(sums []ipc.UsageSum, zone *time.Location) []ipc.UsageSum {
	var days []ipc.UsageSum
	for _, s := range sums {
		last := len(days) - 1
		if s.From != nil && last >= 0 && sameDay(s.From.In(zone), days[last].From.In(zone)) {
			days[last].Add(&s)
			continue
		}
		days = append(days, s)
	}
	return days
}

func sameDay(a, b time.Time) bool { return a.Format(time.DateOnly) == b.Format(time.DateOnly) }

func printUsageSums(stdout io.Writer, opts *usageOptions, sums []usageView, total usageView) error {
	if opts.json {
		return terminal.JSON(stdout, struct {
			Sums  []usageView `json:"sums"`
			Total usageView   `json:"total"`
		}{sums, total})
	}
	header := []string{"TEAM", "MSGS", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITE", "COST"}
	own := total.Own.Turns > 0
	if own {
		header = append(header, "OWN", "OWN COST")
	}
	if opts.by == "day" {
		header[0] = "DAY"
	}
	home := os.Getenv("HOME")
	var rows [][]string
	for _, s := range sums {
		rows = append(rows, s.row(home, own))
	}
	total.Team = "total"
	return terminal.Table(stdout, header, append(rows, total.row("", own)))
}

// row is a sum as a row of a table, with or without the columns of own turns.
func (v *usageView) row(home string, own bool) []string {
	title := v.Day
	switch {
	case v.Session != nil:
		title = tilde(ipc.Name(v.Team, *v.Session), home)
	case v.Day == "":
		title = tilde(v.Team, home)
	}
	cells := []string{
		title, strconv.FormatInt(v.Messages, 10), amount(v.Usage.Input), amount(v.Usage.Output),
		amount(v.Usage.CacheRead), amount(v.Usage.CacheWrite), dollars(v.CostUSD),
	}
	if own {
		cells = append(cells, strconv.FormatInt(v.Own.Turns, 10), dollars(v.Own.CostUSD))
	}
	return cells
}

// amount is a number in three or four digits: "950", "12.3k" or "4.6M".
func amount(n int64) string {
	f, unit := float64(n), ""
	for _, u := range []string{"k", "M", "G", "T"} {
		if f < 999.95 {
			break
		}
		f, unit = f/1000, u
	}
	if unit == "" {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%.1f%s", f, unit)
}
