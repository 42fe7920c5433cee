package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

const decideText = `

An unknown id is status 4. So is a call that somebody else, its deadline or the
end of its turn decided before; the error says which. Commands run by an agent
cannot decide (2).

JSON
  one object as "iris approvals --json" prints it, without input, and decision
  and by

EXIT STATUS
0 1 2 3 4`

type approveOptions struct {
	jsonOptions
	always  bool
	answers []string
}

func (o *approveOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.always, "always", false, "also allow from now on what the agent offers; until its process ends")
	f.Var(textsFlag(&o.answers, "TEXT"), "answer", "the answer to a question of the agent's; again for each further one")
	o.jsonOptions.addFlags(f)
}

func newApproveCmd(g *globals) *cobra.Command {
	opts := approveOptions{jsonOptions: jsonOptions{globals: g}}
	cmd := withFlags(&cobra.Command{
		Use:        "approve ID",
		Short:      "Allow a tool call that waits for permission",
		SuggestFor: []string{"allow", "accept", "permit"},
		Long: `Allow a tool call that waits for permission, this once, and print its id. Its
turn goes on. "iris approvals ID" shows what the tool is about to do.

With --always, all that the line "always" of "iris approvals ID" lists is
allowed from now on too, and stderr says so: rules such as Bash(npm run *), a
directory, or a permission mode such as acceptEdits. Claude Code offers it with
the call; where it offers nothing, the command is refused (2) and the call still
waits. It holds for this agent and all its messages as long as its process
lives, over /clear and a restart of the daemon. A restart or eviction of the
agent, its idle_timeout or a message with flags of its own ends it. Nothing is
written into your settings: what is to stay belongs there, or into the args of
the team.

An agent's question (AskUserQuestion) is allowed by answering it: give --answer
once for each question, in their order. TEXT is the label of an option, its
number as "iris approvals ID" shows it, or any other text; where several options
may be chosen, separate them by commas. Without an answer for each question
nothing is allowed, and the question still waits (2).` + decideText,
		Example: `  iris approvals
  iris approve k7qm2
  iris approve k7qm2 --always
  iris approve 3wdxa --answer Postgres --answer 1,3`,
		Args:              between(1, 1, "ID"),
		ValidArgsFunction: completeApprovals(g),
		RunE:              runs(&opts, runApprove),
	}, opts.addFlags)
	cmd.RegisterFlagCompletionFunc("answer", cobra.NoFileCompletions)
	return cmd
}

func runApprove(ctx context.Context, opts *approveOptions, args []string, s streams) error {
	d := ipc.Decide{ID: args[0], Allow: true, Always: opts.always}
	for _, text := range opts.answers {
		d.Answers = append(d.Answers, strings.ToValidUTF8(text, "\uFFFD"))
	}
	return runDecide(ctx, opts.jsonOptions, d, s)
}

func runDecide(ctx context.Context, opts jsonOptions, params ipc.Decide, s streams) error {
	params.ID = lowerID(params.ID)
	a, err := opts.decide(ctx, params)
	if err != nil {
		return err
	}
	if opts.json {
		return terminal.JSON(s.out, a)
	}
	if len(a.Always) > 0 {
		say(s.err, "%s", alwaysText(&a))
	}
	_, err = fmt.Fprintln(s.out, terminal.Escape(a.ID))
	return err
}

// alwaysText says what an agent may do from now on.
func alwaysText(a *ipc.Approval) string {
	return fmt.Sprintf("until it ends, the agent of team %s may use without asking: %s", ipc.Name(a.Team, a.Session), strings.Join(a.Always, ", "))
}

// decide decides about an approval. Without a daemon no approval waits.
func (g globals) decide(ctx context.Context, params ipc.Decide) (ipc.Approval, error) {
	a, err := g.running().verbs().Decide(ctx, params)
	if errors.Is(err, ipc.ErrNoDaemon) {
		return a, ipc.Errorf(ipc.CodeNotFound, "no approval %q: no daemon is running", params.ID)
	}
	return a, err
}

func newDenyCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	reason := freeText{g, 1, "reason"}
	return reason.addTo(withFlags(&cobra.Command{
		Use:        "deny ID [WHY...]",
		Short:      "Deny a tool call that waits for permission",
		SuggestFor: []string{"refuse", "reject", "disallow"},
		Long: `Deny a tool call that waits for permission, and print its id. The agent is told
so, with WHY, and its turn goes on. "iris cancel" ends the turn instead.

The agent may find another way. Its message ends with status 9 unless denied_ok
is set.` + decideText,
		Example: `  iris deny k7qm2
  iris deny k7qm2 use the test database`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := between(1, many, "ID [WHY...]")(cmd, args); err != nil {
				return err
			}
			return reason.check(cmd, args)
		},
		ValidArgsFunction: completeApprovals(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			why := strings.ToValidUTF8(strings.Join(args[1:], " "), "\uFFFD")
			return runDecide(cmd.Context(), opts, ipc.Decide{ID: args[0], Reason: why}, streamsOf(cmd))
		},
	}, opts.addFlags))
}
