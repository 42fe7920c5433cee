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

	"iris/ipc"
)

// usageBy are the ways to sum up.
var usageBy = []string{"team", "session", "day"}

type usageOptions struct {
	*globals
	by    string
	since moment
	json  bool
}

func (o *usageOptions) addFlags(f *pflag.FlagSet) {
	o.by = usageBy[0]
	f.Var(wordFlag{&o.by, usageBy}, "by", "sum up by team, session or day; by team without")
	f.Var(&o.since, "since", "only messages accepted since then: 90m, 7d, 2026-11-23 or 2026-11-23T18:00:00Z")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

func newUsageCmd(g *globals) *cobra.Command {
	opts := usageOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "usage [TEAM[@SESSION]]",
		Short:      "Sum up messages, tokens and costs",
		SuggestFor: []string{"cost", "costs", "tokens", "stats"},
		Long: `Sum up what messages have taken: how many have ended, the tokens that the model
read (INPUT; CACHE READ and CACHE WRITE are those of its cache) and wrote
(OUTPUT), and what Claude Code says that it cost. TEAM alone stands for all of
its conversations, TEAM@SESSION for that one.

Days are those of the calendar here; a message counts for the day on which it
was accepted. Messages that ran in a conversation of their own are TEAM@~. The
sums are of messages on record: those removed when they were old, after 35 days
unless the configuration says otherwise, are not in them, nor are those that
still wait or run. A record that is damaged is named on stderr and the status is
1.

JSON
  sums, an array of objects: team, session, day (what they are by), messages,
  cost_usd, usage (input_tokens, output_tokens, cache_read_tokens,
  cache_write_tokens); and total, an object of the last three

EXIT STATUS
0 1 2 3 4`,
		Example: `  iris usage --since 7d --by day
  iris usage api --by session
  iris usage --since 2026-11-01 --json | jq .total.cost_usd`,
		Args:              between(0, 1, "[TEAM[@SESSION]]"),
		ValidArgsFunction: completeTeams(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runUsage(cmd.Context(), opts, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	completeWords(cmd, "by", usageBy)
	return cmd
}

// A usageView is a sum as --json prints it.
type usageView struct {
	Team     string    `json:"team,omitempty"`
	Session  *string   `json:"session,omitempty"`
	Day      string    `json:"day,omitempty"`
	Messages int64     `json:"messages"`
	CostUSD  float64   `json:"cost_usd"`
	Usage    ipc.Usage `json:"usage"`
}

// viewOf is a sum as it is called in a time zone.
func viewOf(s *ipc.UsageSum, zone *time.Location) usageView {
	v := usageView{Team: s.Team, Session: s.Session, Messages: s.Messages, CostUSD: ipc.Cost(s.CostUSD), Usage: s.Usage}
	if s.From != nil {
		v.Day = s.From.In(zone).Format(time.DateOnly)
	}
	return v
}

func runUsage(ctx context.Context, opts usageOptions, args []string, stdout, stderr io.Writer) error {
	query := ipc.UsageQuery{By: opts.by, Since: opts.since.at(time.Now())}
	if len(args) == 1 {
		team, session, err := parseTarget(args[0])
		if err != nil {
			return err
		}
		query.Team = team
		if session != "" {
			query.Session = &session
		}
	}
	var found ipc.UsageSums
	if err := orDirectory(query.Team, opts.call(ctx, ipc.MethodUsage, &query, &found)); err != nil {
		return err
	}
	sums := byDays(found.Sums, time.Local)
	var total ipc.UsageSum
	views := []usageView{}
	for i := range sums {
		total.Add(&sums[i])
		views = append(views, viewOf(&sums[i], time.Local))
	}
	if err := printUsageSums(stdout, opts, views, viewOf(&total, time.Local)); err != nil {
		return err
	}
	return reportDamage(stderr, found.Damaged)
}

// byDays joins what is in order of time to sums of the days of a time zone.
// Others stay as they are.
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

func printUsageSums(stdout io.Writer, opts usageOptions, sums []usageView, total usageView) error {
	if opts.json {
		return printJSON(stdout, struct {
			Sums  []usageView `json:"sums"`
			Total usageView   `json:"total"`
		}{sums, total})
	}
	header := []string{"TEAM", "MSGS", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITE", "COST"}
	if opts.by == "day" {
		header[0] = "DAY"
	}
	home := os.Getenv("HOME")
	var rows [][]string
	for _, s := range sums {
		rows = append(rows, s.row(home))
	}
	total.Team = "total"
	return printTable(stdout, header, append(rows, total.row("")))
}

func (v *usageView) row(home string) []string {
	title := v.Day
	switch {
	case v.Session != nil:
		title = tilde(name(v.Team, *v.Session), home)
	case v.Day == "":
		title = tilde(v.Team, home)
	}
	return []string{
		title, strconv.FormatInt(v.Messages, 10), amount(v.Usage.Input), amount(v.Usage.Output),
		amount(v.Usage.CacheRead), amount(v.Usage.CacheWrite), dollars(v.CostUSD),
	}
}

// amount says a number in three or four digits: "950", "12.3k" or "4.6M".
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
