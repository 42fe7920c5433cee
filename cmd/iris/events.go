package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

// eventTypes are the words for what happens.
var eventTypes = []string{
	"process-spawned", "process-terminated", "process-exited", "process-error", "process-stalled", "process-fenced",
	"message-queued", "message-sent", "message-response", "message-dropped", "approval-asked", "approval-decided",
	"health-check", "config-changed",
}

type eventsOptions struct {
	*globals
	follow  bool
	after   numberFlag
	types   []string
	message string
	all     bool
	json    bool
}

func (o *eventsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with those to come")
	f.Var(&o.after, "after", "only those after the event of this number")
	f.Var(wordsFlag{&o.types, eventTypes}, "type", "only those of these types, such as message-sent,message-response")
	textVar(f, &o.message, "message", "ID", "only those of this message")
	f.BoolVar(&o.all, "all", false, "health checks too; JSON always has them")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
}

func newEventsCmd(g *globals) *cobra.Command {
	opts := eventsOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "events [TEAM[@SESSION]]",
		Short:      "Show what happened in the pool",
		SuggestFor: []string{"watch"},
		Long: `Print the events that the daemon has kept, the oldest first, and with --follow
those to come. Texts of messages and answers are never in them. TEAM alone
stands for all of its conversations, TEAM@SESSION for that one.

Events are numbered, and the last 1,024 are kept. A reader that is too slow, or
asks for what is no longer kept, misses some and is told so on stderr; with
--json there is an object of its own for it in their place. The numbers begin
anew with another daemon, which is told in the same way; they go on when "iris
daemon restart" puts another program in its place.

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
  detail, total, max; those that do not apply are left out. Where events are
  missing: type (gap), after and next, the numbers on both sides of it; where
  they begin anew, renumbered (true) as well

EXIT STATUS
0 2 3 4`,
		Example: `  iris events --follow
  iris events api --json --type message-response | jq -r .detail`,
		Args:              between(0, 1, "[TEAM[@SESSION]]"),
		ValidArgsFunction: completeTeams(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runEvents(cmd.Context(), opts, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	completeWords(cmd, "type", eventTypes)
	cmd.RegisterFlagCompletionFunc("message", completeMessages(g, many))
	return cmd
}

func runEvents(ctx context.Context, opts eventsOptions, args []string, stdout, stderr io.Writer) error {
	want, err := opts.want(args)
	if err != nil {
		return err
	}
	p := eventPrinter{stdout: stdout, stderr: stderr, json: opts.json, want: want}
	if opts.follow {
		return orDirectory(want.Team, whileRead(ctx, stdout, func(ctx context.Context) error { return followEvents(ctx, opts, &p) }))
	}
	var list ipc.EventList
	if err := opts.call(ctx, ipc.MethodEvents, &want, &list); err != nil {
		return orDirectory(want.Team, err)
	}
	p.begin(&ipc.Begin{Stream: list.Stream, After: list.After, Missed: list.Missed})
	for i := range list.Events {
		p.print(&list.Events[i])
	}
	return p.err
}

// want is what is asked of the daemon.
func (o *eventsOptions) want(args []string) (ipc.Since, error) {
	want := ipc.Since{After: uint64(o.after), Types: o.types, Message: o.message}
	if len(want.Types) == 0 && !o.json && !o.all {
		want.Types = slices.DeleteFunc(slices.Clone(eventTypes), func(t string) bool { return t == "health-check" })
	}
	if len(args) == 1 {
		team, session, err := parseTarget(args[0])
		if err != nil {
			return want, err
		}
		want.Team = team
		if session != "" {
			want.Session = &session
		}
	}
	return want, nil
}

// followEvents subscribes, and again where the daemon ended the stream because
// we were too slow, or went on as another program.
func followEvents(ctx context.Context, opts eventsOptions, p *eventPrinter) error {
	g := *opts.globals
	opts.globals = &g
	for {
		begun, err := followOnce(ctx, opts, p)
		if !errors.Is(err, ipc.ErrLost) || !begun {
			return err
		}
		g.noStart = true
	}
}

// followOnce prints what comes on one connection, and reports whether the daemon
// has begun to tell.
func followOnce(ctx context.Context, opts eventsOptions, p *eventPrinter) (begun bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := opts.dial(ctx)
	if err != nil {
		return false, err
	}
	defer c.Close()
	c.OnNotify = func(method string, params json.RawMessage) {
		if p.notified(method, params); p.failed() != nil {
			cancel()
		}
	}
	for {
		var gap ipc.Gap
		want, before := p.next()
		err := c.Call(ctx, ipc.MethodSubscribe, &want, &gap)
		_, after := p.next()
		if err := p.failed(); err != nil {
			return after > before, err
		}
		if err != nil {
			return after > before, err
		}
		p.resume(gap.Last)
	}
}

// eventPrinter prints events in order. Its methods may be called from the
// goroutine that reads the connection.
type eventPrinter struct {
	stdout, stderr io.Writer
	json           bool

	mu     sync.Mutex // protects the fields below
	want   ipc.Since  // where to go on
	begins int        // of streams
	err    error      // of the first write that failed; nothing is written after it
}

func (p *eventPrinter) notified(method string, params json.RawMessage) {
	switch method {
	case ipc.NotifyBegin:
		var b ipc.Begin
		if json.Unmarshal(params, &b) == nil {
			p.begin(&b)
		}
	case ipc.NotifyEvent:
		var e ipc.Event
		if json.Unmarshal(params, &e) == nil {
			p.print(&e)
		}
	}
}

// begin says what is missing between the last event and those to come.
func (p *eventPrinter) begin(b *ipc.Begin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begins++
	anew := p.want.Stream != "" && p.want.Stream != b.Stream || b.After < p.want.After
	after := p.want.After
	p.want.Stream, p.want.After = b.Stream, b.After
	switch {
	case p.err != nil, !anew && (b.Missed == 0 || after == 0):
	case p.json:
		p.err = printJSON(p.stdout, gapView{"gap", after, b.After + 1, anew})
	case anew:
		say(p.stderr, "the numbers begin anew: event %d was another daemon's", after)
	default:
		say(p.stderr, "%d events before number %d are no longer kept", b.Missed, b.After+1)
	}
}

// A gapView stands for events that are missing.
type gapView struct {
	Type       string `json:"type"`
	After      uint64 `json:"after"`
	Next       uint64 `json:"next"`
	Renumbered bool   `json:"renumbered,omitempty"`
}

func (p *eventPrinter) print(e *ipc.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	p.want.After = e.Seq
	if p.json {
		p.err = printJSON(p.stdout, e)
		return
	}
	_, p.err = io.WriteString(p.stdout, eventLine(e, time.Now()))
}

// next is what to ask for, and how many streams have begun.
func (p *eventPrinter) next() (ipc.Since, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.want, p.begins
}

// resume notes how far the daemon has looked.
func (p *eventPrinter) resume(last uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want.After = max(p.want.After, last)
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
