package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type eventsOptions struct {
	*globals
	follow bool
	since  numberFlag
	all    bool
	json   bool
}

func (o *eventsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with those to come")
	f.Var(&o.since, "since", "only those after the event of this number")
	f.BoolVar(&o.all, "all", false, "health checks too; JSON always has them")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
}

func newEventsCmd(g *globals) *cobra.Command {
	opts := eventsOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "events",
		Short:      "Show what happened in the pool",
		SuggestFor: []string{"log", "logs", "watch"},
		Long: `Print the events that the daemon has kept, the oldest first, and with --follow
those to come. Texts of messages and answers are never in them.

Events are numbered, from 1 anew with each daemon. A reader that is too slow
misses some, and is told so on stderr.

TYPES
  process-spawned      an agent was started
  process-terminated   iris stopped it; detail says why
  process-exited       it left by itself; detail says how
  process-error        it did not start, or does not answer a check
  process-stalled      its turn makes no progress
  process-fenced       it is left over from an earlier daemon
  message-queued       a message has to wait; detail is its position
  message-sent         its turn began
  message-response     its turn ended; detail is the outcome or the reason
  message-dropped      it left the queue unsent; detail is the reason
  approval-asked       its turn waits for permission; detail is the approval and
                       the tool
  approval-decided     and no longer; detail says how that was decided
  health-check         all agents were checked
  config-changed       the configuration was read anew

JSON
  one object a line: seq, time, type, team, session, process, pid, message,
  detail, total, max; those that do not apply are left out

EXIT STATUS
0 2 3`,
		Example: `  iris events --follow
  iris events --json | jq -r 'select(.type == "message-response") | .detail'`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runEvents(cmd.Context(), opts, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runEvents(ctx context.Context, opts eventsOptions, stdout, stderr io.Writer) error {
	p := eventPrinter{stdout: stdout, stderr: stderr, json: opts.json, all: opts.all, last: uint64(opts.since)}
	if opts.follow {
		return followEvents(ctx, opts, &p)
	}
	var list ipc.EventList
	if err := opts.call(ctx, ipc.MethodEvents, &ipc.Since{After: uint64(opts.since)}, &list); err != nil {
		return err
	}
	for i := range list.Events {
		p.print(&list.Events[i])
	}
	return p.err
}

// followEvents subscribes, and again where the daemon ended the stream because
// we were too slow.
func followEvents(ctx context.Context, opts eventsOptions, p *eventPrinter) error {
	for {
		before := p.seen()
		err := followOnce(ctx, opts, p)
		// A daemon drops whoever is far behind. While it lives there is more.
		if !errors.Is(err, ipc.ErrLost) || p.seen() == before {
			return err
		}
		opts.noStart = true
	}
}

// followOnce prints what comes on one connection.
func followOnce(ctx context.Context, opts eventsOptions, p *eventPrinter) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := opts.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	c.OnNotify = func(method string, params json.RawMessage) {
		var e ipc.Event
		if method != ipc.NotifyEvent || json.Unmarshal(params, &e) != nil {
			return
		}
		if p.print(&e); p.err != nil {
			cancel()
		}
	}
	for {
		var gap ipc.Gap
		err := c.Call(ctx, ipc.MethodSubscribe, &ipc.Since{After: p.seen()}, &gap)
		if err := p.failed(); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
}

// eventPrinter prints events in order. Its methods may be called from the
// goroutine that reads the connection.
type eventPrinter struct {
	stdout, stderr io.Writer
	json, all      bool

	mu   sync.Mutex // protects the fields below
	last uint64
	err  error // of the first write that failed; nothing is written after it
}

func (p *eventPrinter) print(e *ipc.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	if missed := e.Seq - p.last - 1; p.last > 0 && e.Seq > p.last+1 {
		say(p.stderr, "%d events before number %d are no longer kept", missed, e.Seq)
	}
	p.last = e.Seq
	if p.json {
		p.err = printJSON(p.stdout, e)
		return
	}
	if e.Type != "health-check" || p.all {
		_, p.err = io.WriteString(p.stdout, eventLine(e, time.Now()))
	}
}

func (p *eventPrinter) seen() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

func (p *eventPrinter) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// eventLine is an event as people read it: number, time, type, who and what. The
// process of a message is left to JSON.
func eventLine(e *ipc.Event, now time.Time) string {
	words := []string{fmt.Sprintf("%4d  %s  %-18s", e.Seq, clock(e.Time, now), escape(e.Type))}
	if e.Team != "" {
		words = append(words, escape(tilde(name(e.Team, e.Session), os.Getenv("HOME"))))
	}
	switch {
	case e.Message != "":
		words = append(words, escape(e.Message))
	case e.PID > 0:
		words = append(words, fmt.Sprintf("pid %d", e.PID))
	}
	if strings.HasPrefix(e.Type, "process-") {
		words = append(words, fmt.Sprintf("%d/%d", e.Total, e.Max))
	}
	if e.Detail != "" {
		words = append(words, escape(e.Detail))
	}
	return strings.Join(words, "  ") + "\n"
}

// clock is the time of day, or the day when that is another than today.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format(time.TimeOnly)
	}
	return t.Format("01-02 15:04")
}
