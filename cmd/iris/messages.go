package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

// The states of a message.
var (
	messageStates = []string{"queued", "running", "done", "failed", "cancelled", "expired", "unknown"}
	endedStates   = messageStates[2:]
)

// pageSize is how many messages the daemon lists at a time.
const pageSize = 1000

type messagesOptions struct {
	*globals
	states []string
	since  moment
	limit  uint64
	quiet  bool
	json   bool
}

func (o *messagesOptions) addFlags(f *pflag.FlagSet) {
	o.limit = 50
	f.Var(wordsFlag(&o.states, messageStates), "state", "only messages in these states: queued,running")
	f.Var(&o.since, "since", "only messages accepted since then: 90m, 7d; or 2026-11-23, or 2026-11-23T18:00:00Z")
	f.VarP(numberFlag(&o.limit), "limit", "n", "at most this many, by default 50; 0 for all")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print ids only, as other commands take them")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
}

func newMessagesCmd(g *globals) *cobra.Command {
	opts := messagesOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "messages [TEAM[@SESSION]]",
		Short:      "List messages, the newest first",
		SuggestFor: []string{"message", "history", "queue", "outbox"},
		Long: `List messages, the newest first: 50 of them unless --limit says otherwise. TEAM
alone stands for all sessions of the team, TEAM@SESSION for this session.

STATE is queued, running, done, failed, cancelled, expired (its turn had not
begun in time) or unknown (nobody can prove how its turn ended). SENT is when
the message was accepted, TOOK is how long its turn took or has run. A queued
message whose team has left the configuration is held until the team is back, or
until "iris cancel". A damaged record is named on stderr and the status is 1;
the other messages are listed all the same.

Ended messages are kept for 35 days unless the configuration says otherwise.
Texts and answers are not in the list: "iris result" prints an answer, "iris
show" prints the history of a message.

JSON
  one object a line: id, team, session, state, accepted, started, ended,
  outcome, error, cost_usd, key, deadline, retry_of, resets (of a queued message
  whose account is limited), attempts, bytes (of its text); of a message that an
  agent has sent: from (its TEAM or TEAM@SESSION), from_message (in whose turn)
  and depth (1 if a person sent that one). Members that do not apply are left
  out

EXIT STATUS
0 1 2 3 4`,
		Example: `  iris messages
  iris messages api --state queued,running -q | xargs iris cancel
  iris messages --since 7d --limit 0 --json | jq -s 'map(.cost_usd) | add'`,
		Args:              between(0, 1, "[TEAM[@SESSION]]"),
		ValidArgsFunction: completeTeams(g),
		RunE:              runs(&opts, runMessages),
	}
	opts.addFlags(cmd.Flags())
	completeList(cmd, "state", messageStates)
	return cmd
}

func runMessages(ctx context.Context, opts *messagesOptions, args []string, s streams) error {
	filter := ipc.MessageQuery{States: opts.states, Since: opts.since.at(time.Now())}
	var err error
	if filter.Team, filter.Session, err = parseFilter(args); err != nil {
		return err
	}
	var rows [][]string
	now, home := time.Now(), os.Getenv("HOME")
	damaged, err := opts.each(ctx, filter, func(m *ipc.Message) error {
		switch {
		case opts.json:
			return terminal.JSON(s.out, m)
		case opts.quiet:
			_, err := fmt.Fprintln(s.out, terminal.Escape(m.ID))
			return err
		}
		rows = append(rows, messageRow(m, now, home))
		return nil
	})
	if err == nil && !opts.json && !opts.quiet {
		err = terminal.FitTable(s.out, messageHeader, rows)
	}
	if err != nil {
		return orDirectory(filter.Team, err)
	}
	return reportDamage(s.err, damaged)
}

// each calls f with the messages that the filter chooses, page by page, and
// returns the names of the damaged records among them.
func (o *messagesOptions) each(ctx context.Context, filter ipc.MessageQuery, f func(*ipc.Message) error) (damaged []string, err error) {
	left := int64(o.limit)
	for {
		filter.Limit = pageSize
		if o.limit > 0 {
			filter.Limit = int(min(left, pageSize))
		}
		page, err := o.verbs().Messages(ctx, filter)
		if err != nil {
			return damaged, err
		}
		for i := range page.Messages {
			if err := f(&page.Messages[i]); err != nil {
				return damaged, err
			}
		}
		damaged = append(damaged, page.Damaged...)
		n := len(page.Messages)
		left -= int64(n)
		if !page.More || n == 0 || o.limit > 0 && left <= 0 {
			return damaged, nil
		}
		filter.Before = page.Messages[n-1].ID
	}
}

// reportDamage names damaged records.
func reportDamage(stderr io.Writer, damaged []string) error {
	if len(damaged) == 0 {
		return nil
	}
	for _, what := range damaged {
		say(stderr, "%s", what)
	}
	return silentError(ipc.CodeFailed)
}

var messageHeader = []string{"ID", "STATE", "TEAM", "SENT", "TOOK", "COST", "OUTCOME"}

// messageRow is a message in a table, with the whole text of its error.
func messageRow(m *ipc.Message, now time.Time, home string) []string {
	return []string{
		m.ID, m.State, tilde(ipc.Name(m.Team, m.Session), home), ago(now, &m.Accepted), took(m, now), dollars(m.CostUSD), outcomeText(m),
	}
}

// outcomeText is how a message ended, unless its state says everything.
func outcomeText(m *ipc.Message) string {
	text := strings.TrimPrefix(m.Error, "team "+ipc.Name(m.Team, m.Session)+": ")
	if m.Outcome == "success" || m.Outcome == m.State {
		return text
	}
	return cmp.Or(text, m.Outcome)
}

// took says how long the turn of a message was, or is.
func took(m *ipc.Message, now time.Time) string {
	switch {
	case m.Started == nil:
		return ""
	case m.Ended != nil:
		return short(m.Ended.Sub(*m.Started))
	case m.State == "running":
		return short(now.Sub(*m.Started))
	}
	return ""
}

// dollars is a cost in dollars and cents; "" for none.
func dollars(cost float64) string {
	switch {
	case cost <= 0:
		return ""
	case cost < 0.01:
		return "<$0.01"
	}
	return "$" + strconv.FormatFloat(cost, 'f', 2, 64)
}
