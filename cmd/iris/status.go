package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

const statusJSON = `

JSON
  pid, version, protocol, socket, since, uptime_ms, config, config_error, log,
  total_processes, max_processes, memory_bytes and max_memory_bytes (of all
  agents together; 0 for no limit), free_memory_bytes (what the machine had left
  for agents when last measured), busy, queued, messages_processed, cost_usd,
  own_turns and own_cost_usd (of turns that nobody sent), clients,
  generation, journal (path, bytes, messages, queued, running, unknown, error:
  why nothing is accepted), stopping, broken (team, session, failures, error,
  retry_ms: agents that do not start), limited (accounts, as "iris account
  --json" prints them), spare (account, waiting, waits_for: accounts whose spare
  messages wait) and warnings. generation is 1 and grows by 1 when the daemon's
  program is replaced while it runs.`

func newStatusCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "status",
		Short:      "Show the daemon and its pool",
		SuggestFor: []string{"info", "stat"},
		Long: `Show the daemon and its pool: the agents and their bound, the queue, what the
agents did and cost, the messages on record, and problems. It starts a daemon
when there is none; "iris daemon status" does not.` + statusJSON + `

EXIT STATUS
0 2 3`,
		Example: `  iris status
  iris status --json | jq .queued`,
		Args: between(0, 0, ""),
		RunE: runs(&opts, runStatus),
	}, opts.addFlags)
}

func runStatus(ctx context.Context, opts *jsonOptions, _ []string, s streams) error {
	st, err := opts.verbs().Status(ctx)
	if err != nil {
		return err
	}
	if opts.json {
		st.Broken = orEmpty(st.Broken)
		return terminal.JSON(s.out, &st)
	}
	return terminal.Fields(s.out, statusFields(&st, time.Now()))
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
		{"memory", memoryText(s)},
		{"queued", strconv.Itoa(s.Queued)},
		{"messages", fmt.Sprintf("%d since then, $%.2f", s.Messages, s.CostUSD)},
		{"own turns", fmt.Sprintf("%d since then, $%.2f", s.OwnTurns, s.OwnCostUSD)},
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
			ipc.Name(b.Team, b.Session), b.Error, plural(b.Failures, "failure"), span(time.Duration(b.Retry)*time.Millisecond))})
	}
	for i := range s.Limited {
		a := &s.Limited[i]
		fields = append(fields, [2]string{"account", fmt.Sprintf("%s is %s, %s", a.Name, a.Text, waitingText(a.Waiting))})
	}
	for _, l := range s.Lacking {
		fields = append(fields, [2]string{"spare", plural(l.Waiting, "message") + ", waiting for " + l.WaitsFor})
	}
	for _, w := range s.Warnings {
		fields = append(fields, [2]string{"warning", w})
	}
	return fields
}

// oneLine joins several lines into one.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }

// memoryText says how much of their memory the agents use, and what the machine has left.
func memoryText(s *ipc.Status) string {
	used := cmp.Or(size(s.Memory), "0 B")
	switch {
	case s.MaxMemory == 0:
		return used + ", no limit"
	case s.FreeMemory == nil:
		return used + " of " + size(s.MaxMemory)
	}
	return used + " of " + size(s.MaxMemory) + ", " + cmp.Or(size(*s.FreeMemory), "0 B") + " free"
}

// journalText describes the journal in one line.
func journalText(j *ipc.Journal) string {
	return fmt.Sprintf("%s, %d queued, %d running, %d unknown, %s",
		plural(j.Messages, "message"), j.Queued, j.Running, j.Unknown, cmp.Or(size(j.Bytes), "0 B"))
}

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

// buildVersion returns the version of this program, "dev" if it has none.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

func newVersionCmd(*globals) *cobra.Command {
	var opts jsonOptions
	return withFlags(&cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Long: `Print the version of this program. "iris status" prints the version of the
running daemon.

JSON
  version, protocol, go, os, arch

EXIT STATUS
0 2`,
		Example: `  iris version
  iris version --json`,
		Args: between(0, 0, ""),
		RunE: runs(&opts, runVersion),
	}, opts.addFlags)
}

func runVersion(_ context.Context, opts *jsonOptions, _ []string, s streams) error {
	v := struct {
		Version  string `json:"version"`
		Protocol int    `json:"protocol"`
		Go       string `json:"go"`
		OS       string `json:"os"`
		Arch     string `json:"arch"`
	}{buildVersion(), ipc.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH}
	if opts.json {
		return terminal.JSON(s.out, v)
	}
	_, err := fmt.Fprintf(s.out, "iris %s (protocol %d, %s, %s/%s)\n", v.Version, v.Protocol, v.Go, v.OS, v.Arch)
	return err
}
