package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

// eventTypes are the types of events.
var eventTypes = []string{
	"process-spawned", "process-terminated", "process-exited", "process-error", "process-stalled", "process-fenced",
	"process-lingers",
	"message-queued", "message-sent", "message-response", "message-dropped", "message-ended", "message-waits", "limited", "opened", "budget-low", "budget-spent", "own-turn", "approval-asked", "approval-decided",
	"health-check", "config-changed",
}

type eventsOptions struct {
	*globals
	follow  bool
	after   uint64
	types   []string
	message string
	since   moment
	limit   uint64
	all     bool
	json    bool
}

func (o *eventsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with events to come")
	f.Var(numberFlag(&o.after), "after", "only events after the event of this number")
	f.Var(wordsFlag(&o.types, eventTypes), "type", "only events of these types; for example message-sent,message-response")
	f.Var(filledFlag(&o.message, "ID", "for the events of all messages"), "message", "only events of this message")
	f.Var(&o.since, "since", "only events since then: 90m, 7d; or 2026-11-23, or 2026-11-23T18:00:00Z")
	f.VarP(numberFlag(&o.limit), "limit", "n", "of the kept events, only the last NUMBER; 0 for all, which is the default")
	f.BoolVarP(&o.all, "all", "a", false, "print health checks, too; JSON always has them")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
}

func newEventsCmd(g *globals) *cobra.Command {
	opts := eventsOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "events [TEAM[@SESSION]]",
		Short:      "Print the events of the pool",
		SuggestFor: []string{"watch"},
		Long: `Print the events of the pool that the daemon has kept, the oldest first; with
--follow, print new events too. Texts of messages and answers are never in them.

TEAM alone stands for all sessions of the team, TEAM@SESSION for this session.

Events are numbered, and the last 1,024 are kept. A reader that is too slow, or
asks for events that are no longer kept, misses some. stderr says so; with
--json an object stands in their place. The numbers begin anew with another
daemon, which is told in the same way; they go on after "iris daemon restart".

TYPES
  process-spawned      an agent was started
  process-terminated   iris stopped it; detail says why
  process-exited       it left by itself; detail says how
  process-error        it did not start, or does not answer a check
  process-stalled      its turn, or what it does by itself, makes no progress
  process-fenced       it is an orphan of an earlier daemon
  process-lingers      an orphan has ended its turn, and stays for background
                       work; orphan_grace ends it
  message-queued       a message has to wait; detail is its position
  message-sent         its turn began
  message-response     its turn ended; detail is the outcome or the reason
  message-dropped      it left the queue unsent; detail is the reason
  message-ended        its end is on record; detail is its state and a word more
  message-waits        its agent has it, but waits before it begins; detail says
                       for what (an MCP server)
  limited              an account is limited; detail says until when, and why
  opened               it is not limited any more; detail says why
  budget-low           four fifths of a budget are spent
  budget-spent         a budget does not allow a message
  own-turn             an agent has ended a turn that nobody sent; detail is its
                       cause and its cost
  approval-asked       its turn waits for permission; detail is the approval and
                       the tool
  approval-decided     it waits no longer; detail is the decision
  health-check         all agents were checked
  config-changed       the configuration was read anew

JSON
  one object a line: seq, time, type, team, session, process, pid, message,
  detail, total, max, account and until (of limited and opened), until (when the
  day or month of a budget is over), from, from_message and depth (of a message
  that an agent has sent); members that do not apply are left out. Where events
  are missing: type (gap), after and next, the numbers on both sides of it;
  where they begin anew, renumbered (true) as well

EXIT STATUS
0 1 2 3 4`,
		Example: `  iris events --follow
  iris events api --json --type message-response | jq -r .detail`,
		Args:              between(0, 1, "[TEAM[@SESSION]]"),
		ValidArgsFunction: completeTeams(g),
		RunE:              runs(&opts, runEvents),
	}
	opts.addFlags(cmd.Flags())
	completeWords(cmd, "type", eventTypes)
	cmd.RegisterFlagCompletionFunc("message", completeMessages(g, many))
	return cmd
}

func runEvents(ctx context.Context, opts *eventsOptions, args []string, s streams) error {
	want, err := opts.want(ctx, args)
	if err != nil {
		return err
	}
	p := eventPrinter{stdout: s.out, stderr: s.err, json: opts.json, want: want, since: opts.since.at(time.Now())}
	if opts.follow && opts.limit == 0 {
		return orDirectory(want.Team, untilReaderGone(ctx, s.out, func(ctx context.Context) error { return followEvents(ctx, opts, &p) }))
	}
	list, err := opts.verbs().Events(ctx, want)
	if err != nil {
		return orDirectory(want.Team, err)
	}
	if opts.limit > 0 {
		list.Events = list.Events[len(list.Events)-int(min(opts.limit, uint64(len(list.Events)))):]
	}
	p.begin(ipc.Begin{Stream: list.Stream, After: list.After, Missed: list.Missed})
	for _, e := range list.Events {
		p.print(e)
	}
	if opts.follow && p.err == nil {
		return untilReaderGone(ctx, s.out, func(ctx context.Context) error { return followEvents(ctx, opts, &p) })
	}
	return p.err
}

// want is the query for the daemon.
func (o *eventsOptions) want(ctx context.Context, args []string) (want ipc.EventQuery, err error) {
	want = ipc.EventQuery{After: uint64(o.after), Types: o.types}
	if o.message != "" {
		m, err := o.verbs().Show(ctx, ipc.MessageRef{ID: lowerID(o.message)})
		if err != nil { // such as an id that no message on record has
			return want, err
		}
		want.Message = m.ID
	}
	if len(want.Types) == 0 && !o.json && !o.all {
		want.Types = slices.DeleteFunc(slices.Clone(eventTypes), func(t string) bool { return t == "health-check" })
	}
	want.Team, want.Session, err = parseFilter(args)
	return want, err
}

// followEvents subscribes, and again if the daemon ended the stream because the
// reader was too slow, or because its program was replaced.
func followEvents(ctx context.Context, opts *eventsOptions, p *eventPrinter) error {
	g := *opts.globals
	ctx, p.stop = context.WithCancel(ctx)
	defer p.stop()
	begun := false
	return g.follow(ctx, 0, func(c *ipc.Client) (err error) {
		heard := ipc.Handlers{Begin: p.begin, Event: p.print}
		c.OnNotify = heard.Notify
		begun, err = p.subscribe(ctx, c)
		return cmp.Or(p.err, err)
	}, func(err error) bool {
		g.noStart = true
		return begun && errors.Is(err, ipc.ErrLost)
	})
}

// subscribe prints events as long as the connection lasts, and reports whether any
// stream began.
func (p *eventPrinter) subscribe(ctx context.Context, c *ipc.Client) (begun bool, err error) {
	for {
		before := p.begins
		gap, err := c.Subscribe(ctx, p.want)
		if err != nil || p.err != nil {
			return p.begins > before, err
		}
		p.resume(gap.Last)
	}
}

// eventPrinter prints events in order.
type eventPrinter struct {
	stdout, stderr io.Writer
	json           bool
	stop           context.CancelFunc // called when nothing more can be written; may be nil

	since  time.Time      // of the first event to print
	want   ipc.EventQuery // where to continue
	begins int            // streams begun
	err    error          // of the first failed write; nothing is written after it
}

// begin reports events that are missing between the last event and the next.
func (p *eventPrinter) begin(b ipc.Begin) {
	p.begins++
	anew := p.want.Stream != "" && p.want.Stream != b.Stream || b.After < p.want.After
	after := p.want.After
	p.want.Stream, p.want.After = b.Stream, b.After
	switch {
	case p.err != nil, !anew && (b.Missed == 0 || after == 0):
	case p.json:
		p.wrote(terminal.JSON(p.stdout, gapView{"gap", after, b.After + 1, anew}))
	case anew:
		say(p.stderr, "the numbers begin anew: event %d was another daemon's", after)
	default:
		say(p.stderr, "%d events before number %d are no longer kept", b.Missed, b.After+1)
	}
}

// A gapView stands for missing events.
type gapView struct {
	Type       string `json:"type"`
	After      uint64 `json:"after"`
	Next       uint64 `json:"next"`
	Renumbered bool   `json:"renumbered,omitempty"`
}

func (p *eventPrinter) print(e ipc.Event) {
	if p.err != nil {
		return
	}
	p.want.After = e.Seq
	if e.Time.Before(p.since) {
		return
	}
	if p.json {
		p.wrote(terminal.JSON(p.stdout, &e))
		return
	}
	_, err := io.WriteString(p.stdout, eventLine(&e, time.Now()))
	p.wrote(err)
}

// resume records how far the daemon has looked.
func (p *eventPrinter) resume(last uint64) { p.want.After = max(p.want.After, last) }

// wrote records the error of a write.
func (p *eventPrinter) wrote(err error) {
	if p.err = err; err != nil && p.stop != nil {
		p.stop()
	}
}

// eventLine is an event for people: number, time, type and subject. Only JSON has the
// process of a message.
func eventLine(e *ipc.Event, now time.Time) string {
	words := []string{fmt.Sprintf("%4d  %s  %-18s", e.Seq, clock(e.Time, now), terminal.Escape(e.Type))}
	if e.Team != "" {
		words = append(words, terminal.Escape(tilde(ipc.Name(e.Team, e.Session), os.Getenv("HOME"))))
	}
	switch {
	case e.Message != "":
		words = append(words, terminal.Escape(e.Message))
	case e.PID > 0:
		words = append(words, fmt.Sprintf("pid %d", e.PID))
	}
	if strings.HasPrefix(e.Type, "process-") {
		words = append(words, fmt.Sprintf("%d/%d", e.Total, e.Max))
	}
	if e.Detail != "" {
		words = append(words, terminal.Escape(e.Detail))
	}
	if e.From != "" && (e.Type == "message-queued" || e.Type == "message-sent") {
		words = append(words, "from "+terminal.Escape(e.From))
	}
	return strings.Join(words, "  ") + "\n"
}

// clock is the time of day, or the date if it is not today.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format(time.TimeOnly)
	}
	return t.Format("01-02 15:04")
}
