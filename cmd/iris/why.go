package main

import (
	"context"

	"github.com/spf13/cobra"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

func newWhyCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "why TEAM[@SESSION] | ID",
		Short:      "Say why a message waits, or why an agent went",
		SuggestFor: []string{"explain", "reason"},
		Long: `Say what a message waits or waited for, or why the agents of a team went and
what it cost to come back. TEAM alone stands for all sessions of the team,
TEAM@SESSION for this session. A word that is no team is the id of a message.

Of a message that waits: its place, and what its queue waits for, such as a
turn, a free place, a person or the next try to start an agent. Of any message:
how long each attempt waited, how long its agent took to start if that was part
of the wait, and how long the turn took. An id may be shortened to its first 4
characters or more, as long as no other message on record begins with them.

Of a team: its live agents and what its queue waits for; how often its agents
went in the last 7 days and for which reasons; and of each of the last 10 what
the way back took. WENT is when it went, TURNS how many turns it had. AFTER is
how much later the next agent of its session was started, START how long that
took. CACHED is what its last turn had read from the cache of the model or
written to it, WRITTEN is what the first turn of the next agent wrote, and COST
is the cost of that whole turn as Claude Code reports it. A turn that called the
model several times counts what it read and wrote each time.

Agents that are gone are on record as long as messages, at most 200 of a team
and day. Agents of single messages (--fresh) are not, nor are those whose daemon
was killed. A damaged record is named on stderr and the status is 1.

JSON
  an object with message or team, and damaged (names of damaged records).
  message: id, team, session, state, accepted, ended, deadline, position,
  waits_for (a list of texts), broken (why its agent does not start: team,
  session, failures, error, retry_ms), waited_ms, took_ms, attempts (queued,
  began, ended, process, waited_ms, start_ms, took_ms, state, note), outcome,
  error, cost_usd.
  team: team, session, since, live (as "iris ps --json" prints them), queued,
  waits_for, broken (a list), gone (id, pid, team, session, started, start_ms,
  ended, messages_processed, own_turns, why, back: id, after_ms, start_ms,
  message, cached_tokens, cache_read_tokens, cache_write_tokens, cost_usd),
  reasons (why, times) and back (times, start_ms, cache_write_tokens, cost_usd)

EXIT STATUS
0 1 2 3 4`,
		Example: `  iris why api
  iris why 01m848j1qq28fxdd
  iris why api --json | jq '.team.reasons'`,
		Args:              between(1, 1, "TEAM[@SESSION] | ID"),
		ValidArgsFunction: completeTeamsAndMessages(g),
		RunE:              runs(&opts, runWhy),
	}, opts.addFlags)
}

// completeTeamsAndMessages completes the first argument with a team or the id of a
// message.
func completeTeamsAndMessages(g *globals) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		names, directive := completeTeams(g)(cmd, args, word)
		if directive != cobra.ShellCompDirectiveNoFileComp {
			return names, directive
		}
		ids, directive := completeMessages(g, 1)(cmd, args, word)
		return append(names, ids...), directive
	}
}

func runWhy(ctx context.Context, opts *jsonOptions, args []string, s streams) error {
	query, err := whyQuery(args[0])
	if err != nil {
		return err
	}
	why, err := opts.verbs().Why(ctx, query)
	switch {
	case err != nil:
		return orDirectory(query.Team, err)
	case opts.json:
		err = terminal.JSON(s.out, &why)
	case why.Message != nil:
		err = printWhyMessage(s.out, why.Message)
	default:
		err = printWhyTeam(s.out, why.Team)
	}
	if err != nil {
		return err
	}
	return reportDamage(s.err, why.Damaged)
}

// whyQuery asks for a team or, if there is no such team, for a message.
func whyQuery(arg string) (q ipc.WhyQuery, err error) {
	team, session, err := parseFilter([]string{arg})
	q = ipc.WhyQuery{Team: team, Session: session}
	if session == nil && !isPath(team) {
		q.ID = lowerID(team)
	}
	return q, err
}
