package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type statusOptions struct {
	*globals
	json bool
}

func (o *statusOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

const statusJSON = `

JSON
  pid, version, protocol, socket, since, uptime_ms, config, config_error, log,
  total_processes, max_processes, busy, queued, messages_processed, cost_usd,
  clients, generation, journal (path, bytes, messages, queued, running, unknown,
  error: why nothing is accepted), stopping, broken (team, session, failures,
  error, retry_ms: agents that do not start) and warnings. generation is 1 and
  grows by 1 when the daemon's program is replaced while it runs.`

func newStatusCmd(g *globals) *cobra.Command {
	opts := statusOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "status",
		Short:      "Show how the daemon and its pool are",
		SuggestFor: []string{"info", "stat"},
		Long: `Show the daemon and its pool: how many agents there are and may be, what waits,
what they did and cost, what is on record, and what is wrong. It starts a daemon
when there is none; "iris daemon status" does not.` + statusJSON + `

EXIT STATUS
0 2 3`,
		Example: `  iris status
  iris status --json | jq .queued`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runStatus(cmd.Context(), opts, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runStatus(ctx context.Context, opts statusOptions, stdout io.Writer) error {
	var s ipc.Status
	if err := opts.call(ctx, ipc.MethodStatus, nil, &s); err != nil {
		return err
	}
	if opts.json {
		s.Broken = orEmpty(s.Broken)
		return printJSON(stdout, &s)
	}
	return printFields(stdout, statusFields(&s, time.Now()))
}

func statusFields(s *ipc.Status, now time.Time) [][2]string {
	state := "running for " + span(now.Sub(s.Since))
	if s.Stopping {
		state = "stopping"
	}
	fields := [][2]string{
		{"daemon", fmt.Sprintf("%s, pid %d, version %s", state, s.PID, s.Version)},
		{"socket", s.Socket},
		{"config", s.Config},
		{"log", s.Log},
		{"agents", fmt.Sprintf("%d of %d, %d busy", s.Total, s.Max, s.Busy)},
		{"queued", strconv.Itoa(s.Queued)},
		{"messages", fmt.Sprintf("%d since then, $%.2f", s.Messages, s.CostUSD)},
		{"clients", strconv.Itoa(s.Clients)},
		{"journal", journalText(&s.Journal)},
	}
	if s.Journal.Error != "" {
		fields = append(fields, [2]string{"journal error", s.Journal.Error})
	}
	if s.ConfigError != "" {
		fields = append(fields, [2]string{"config error", oneLine(s.ConfigError)})
	}
	for _, b := range s.Broken {
		fields = append(fields, [2]string{"broken", fmt.Sprintf("%s: %s (%s, next try in %s)",
			name(b.Team, b.Session), b.Error, plural(b.Failures, "failure"), span(time.Duration(b.Retry)*time.Millisecond))})
	}
	for _, w := range s.Warnings {
		fields = append(fields, [2]string{"warning", w})
	}
	return fields
}

// oneLine is a text of several lines, for where there is one.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }

// journalText says how much is on record.
func journalText(j *ipc.Journal) string {
	return fmt.Sprintf("%s, %d queued, %d running, %d unknown, %s",
		plural(j.Messages, "message"), j.Queued, j.Running, j.Unknown, cmp.Or(size(j.Bytes), "0 B"))
}
