package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

type resultOptions struct {
	*globals
	idOptions
	json bool
	raw  bool
}

func (o *resultOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.last, "last", false, "the newest message that has ended; or that of the TEAM[@SESSION] in place of ID")
	f.BoolVar(&o.json, "json", false, "print the whole reply as one JSON object; also when it failed")
	f.BoolVar(&o.raw, "raw", false, "print the answer as it is; on a terminal, too")
}

func newResultCmd(g *globals) *cobra.Command {
	opts := resultOptions{globals: g, idOptions: idOptions{most: 1}}
	return withFlags(&cobra.Command{
		Use:        "result ID | --last [TEAM[@SESSION]]",
		Short:      "Print the answer of an ended message",
		SuggestFor: []string{"answer", "reply", "output"},
		Long: `Print the answer of a message that has ended, and end with the same status, as
"iris send" would have. It does not wait: a message that waits or runs is status
75; "iris wait" waits for it.

An id may be shortened to its first 4 characters or more, as long as no other
message on record begins with them. --last stands for the newest message that
has ended, of all or of a session: TEAM alone is the main session of the team.

JSON
  one object as "iris send --json" prints it

EXIT STATUS
0 1 2 3 4 5 6 7 8 9 10 11 12 13 75`,
		Example: `  iris result 01m848j1qq28fxdd
  iris result --last api@review
  iris result --json --last api | jq .cost_usd`,
		Args:              opts.check,
		ValidArgsFunction: opts.complete(g, endedStates...),
		RunE:              runs(&opts, runResult),
	}, opts.addFlags)
}

func runResult(ctx context.Context, opts *resultOptions, args []string, s streams) error {
	refs, err := opts.refs(args)
	if err != nil {
		return err
	}
	which := refs[0]
	reply, err := opts.verbs().Result(ctx, which)
	err = orDirectory(which.Team, err)
	if opts.json {
		none := errorReply{ID: which.ID, Team: which.Team, Session: which.Session}
		if err != nil && which.ID != "" {
			none.Team, none.Session = opts.whose(ctx, which.ID)
		}
		return printReplyJSON(s.out, none, reply, err)
	}
	if err != nil {
		return err
	}
	return printReply(s.out, s.err, reply, opts.raw)
}

type showOptions struct {
	jsonOptions
	idOptions
}

func (o *showOptions) addFlags(f *pflag.FlagSet) {
	o.idOptions.addFlags(f)
	o.jsonOptions.addFlags(f)
}

func newShowCmd(g *globals) *cobra.Command {
	opts := showOptions{jsonOptions{globals: g}, idOptions{most: 1}}
	return withFlags(&cobra.Command{
		Use:        "show ID | --last [TEAM[@SESSION]]",
		Short:      "Show the history of a message",
		SuggestFor: []string{"inspect", "describe"},
		Long: `Show the history of a message: its states and their times, how often its turn
began, what it cost, and where Claude Code keeps the transcript of its session.

Its text and its answer are not shown; "iris result" prints the answer.

` + idText + `

JSON
  what "iris messages --json" prints, and session_id, dir, transcript, process
  (of the last attempt), position (while it is queued), fresh, on_limit,
  spare, on_unknown, origin, blocks (it has files in it), options (model,
  permission_mode, max_turns, append_system_prompt, json_schema, effort,
  allowed_tools), usage
  (input_tokens, output_tokens, cache_read_tokens, cache_write_tokens) and
  history (state, at, by, note)

EXIT STATUS
0 1 2 3 4`,
		Example: `  iris show 01m848j1qq28fxdd
  iris show --json --last api | jq -r .transcript`,
		Args:              opts.check,
		ValidArgsFunction: opts.complete(g),
		RunE:              runs(&opts, runShow),
	}, opts.addFlags)
}

func runShow(ctx context.Context, opts *showOptions, args []string, s streams) error {
	refs, err := opts.refs(args)
	if err != nil {
		return err
	}
	m, err := opts.verbs().Show(ctx, refs[0])
	if err != nil {
		return orDirectory(refs[0].Team, err)
	}
	if opts.json {
		return terminal.JSON(s.out, &m)
	}
	return terminal.Fields(s.out, messageFields(&m, time.Now()))
}

// messageFields are the lines about a message; fields that do not apply are left out.
func messageFields(m *ipc.Message, now time.Time) [][2]string {
	var fields [][2]string
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, [2]string{name, value})
		}
	}
	add("id", m.ID)
	add("team", ipc.Name(m.Team, m.Session))
	add("state", stateText(m))
	add("outcome", m.Outcome)
	add("error", m.Error)
	add("accepted", stamp(&m.Accepted))
	add("started", stamp(m.Started))
	add("ended", stamp(m.Ended))
	add("took", took(m, now))
	add("attempts", number(m.Attempts))
	add("cost", exactly(m.CostUSD))
	add("tokens", tokens(m.Usage))
	add("text", cmp.Or(size(m.Bytes), "0 B")+withFiles(m))
	for _, f := range append(settings(m), variantFields(m.Options)...) {
		add(f[0], f[1])
	}
	add("process", m.Process)
	add("session id", m.SessionID)
	add("dir", m.Dir)
	add("transcript", m.Transcript)
	for i := range m.History {
		add("history", changeText(&m.History[i]))
	}
	return fields
}

// withFiles says that a message has files.
func withFiles(m *ipc.Message) string {
	if m.Blocks {
		return ", with files"
	}
	return ""
}

func stateText(m *ipc.Message) string {
	if m.Position > 0 {
		return fmt.Sprintf("%s, number %d of its conversation", m.State, m.Position)
	}
	return m.State
}

// settings are the options of the sender.
func settings(m *ipc.Message) [][2]string {
	fresh, spare := "", ""
	if m.Fresh {
		fresh = "in a conversation of its own"
	}
	if m.Spare != nil {
		spare = strconv.FormatBool(*m.Spare)
	}
	return [][2]string{
		{"key", m.Key}, {"deadline", stamp(m.Deadline)}, {"on limit", m.OnLimit}, {"spare", spare}, {"on unknown", m.OnUnknown}, {"fresh", fresh},
		{"origin", m.Origin}, {"from", senderText(m)}, {"retry of", m.RetryOf},
	}
}

// senderText says which agent sent a message; "" if none did.
func senderText(m *ipc.Message) string {
	switch {
	case m.Depth == 0:
		return ""
	case m.FromMessage == "":
		return "the agent of " + cmp.Or(m.From, "a team that is not known")
	}
	return fmt.Sprintf("the agent of %s, in the turn of message %s; depth %d", m.From, m.FromMessage, m.Depth)
}

// changeText is one step of a message.
func changeText(c *ipc.Change) string {
	text := stamp(&c.At) + "  " + c.State
	if c.Process != "" {
		text += " in " + c.Process
	}
	if c.By != "" {
		text += ", by " + c.By
	}
	if c.Note != "" {
		text += ": " + c.Note
	}
	return text
}

// stamp is a full time; "" for none.
func stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05.000")
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// exactly is a cost without rounding; "" for none.
func exactly(cost float64) string {
	if cost == 0 {
		return ""
	}
	return "$" + strconv.FormatFloat(cost, 'f', -1, 64)
}

func tokens(u *ipc.Usage) string {
	if u == nil || *u == (ipc.Usage{}) {
		return ""
	}
	parts := []string{fmt.Sprintf("%d in", u.Input), fmt.Sprintf("%d out", u.Output)}
	if u.CacheRead+u.CacheWrite > 0 {
		parts = append(parts, fmt.Sprintf("%d read from the cache, %d written to it", u.CacheRead, u.CacheWrite))
	}
	return strings.Join(parts, ", ")
}
