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

type showOptions struct {
	*globals
	json bool
}

func (o *showOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

func newShowCmd(g *globals) *cobra.Command {
	opts := showOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "show ID",
		Short:      "Show all that is known of a message",
		SuggestFor: []string{"inspect", "describe"},
		Long: `Show what is on record of a message: the states it went through and when, how
often its turn was begun, what it cost, and where Claude Code keeps the
transcript of its conversation. Its text and its answer are not shown; "iris
result" prints the answer.

JSON
  what "iris messages --json" prints, and session_id, dir, transcript, process
  (of the last attempt), position (while it is queued), fresh, on_unknown,
  origin, blocks (it has files in it), options (model, permission_mode,
  max_turns, append_system_prompt, json_schema), usage (input_tokens,
  output_tokens, cache_read_tokens, cache_write_tokens) and history (state, at,
  by, note)

EXIT STATUS
0 1 2 3 4`,
		Example: `  iris show 01m848j1qq28fxdd
  iris show --json 01m848j1qq28fxdd | jq -r .transcript`,
		Args:              between(1, 1, "ID"),
		ValidArgsFunction: completeMessages(g, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runShow(cmd.Context(), opts, args[0], cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runShow(ctx context.Context, opts showOptions, id string, stdout io.Writer) error {
	var m ipc.Message
	if err := opts.call(ctx, ipc.MethodShow, &ipc.Which{ID: id}, &m); err != nil {
		return err
	}
	if opts.json {
		return printJSON(stdout, &m)
	}
	return printFields(stdout, messageFields(&m, time.Now()))
}

// messageFields are the lines about a message; what does not apply has none.
func messageFields(m *ipc.Message, now time.Time) [][2]string {
	var fields [][2]string
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, [2]string{name, value})
		}
	}
	add("id", m.ID)
	add("team", name(m.Team, m.Session))
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

// withFiles says that a message is not words alone.
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

// settings are what the sender asked for.
func settings(m *ipc.Message) [][2]string {
	fresh := ""
	if m.Fresh {
		fresh = "in a conversation of its own"
	}
	return [][2]string{
		{"key", m.Key}, {"deadline", stamp(m.Deadline)}, {"on unknown", m.OnUnknown}, {"fresh", fresh},
		{"origin", m.Origin}, {"retry of", m.RetryOf},
	}
}

// changeText is one step of a message on its way.
func changeText(c *ipc.Change) string {
	text := stamp(&c.At) + "  " + c.State
	if c.By != "" {
		text += ", by " + c.By
	}
	if c.Note != "" {
		text += ": " + c.Note
	}
	return text
}

// stamp is a time in full; "" for none.
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

// exactly says a cost without rounding; "" for none.
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
