package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

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

func newApproveCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	var answers []string
	cmd := &cobra.Command{
		Use:        "approve ID",
		Short:      "Allow a tool call that waits for permission",
		SuggestFor: []string{"allow", "accept", "permit"},
		Long: `Allow a tool call that waits for permission, this once, and print its id. Its
turn goes on. "iris approvals ID" shows what the tool is about to do.

An agent's question (AskUserQuestion) is allowed by answering it: give --answer
once for each question, in their order. TEXT is the label of an option, its
number as "iris approvals ID" shows it, or any other text; where several options
may be chosen, separate them by commas. Without an answer for each question
nothing is allowed, and the question still waits (2).` + decideText,
		Example: `  iris approvals
  iris approve k7qm2
  iris approve 3wdxa --answer Postgres --answer 1,3`,
		Args:              between(1, 1, "ID"),
		ValidArgsFunction: completeApprovals(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			for i, text := range answers {
				answers[i] = strings.ToValidUTF8(text, "\uFFFD")
			}
			return runDecide(cmd.Context(), opts, ipc.Decide{ID: args[0], Allow: true, Answers: answers}, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().Var(textsFlag(&answers, "TEXT"), "answer", "the answer to a question of the agent's; again for each further one")
	cmd.RegisterFlagCompletionFunc("answer", cobra.NoFileCompletions)
	return cmd
}

func runDecide(ctx context.Context, opts jsonOptions, params ipc.Decide, stdout io.Writer) error {
	a, err := opts.decide(ctx, params)
	if err != nil {
		return err
	}
	if opts.json {
		return terminal.JSON(stdout, a)
	}
	_, err = fmt.Fprintln(stdout, terminal.Escape(a.ID))
	return err
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
	return withFlags(&cobra.Command{
		Use:        "deny ID [WHY...]",
		Short:      "Deny a tool call that waits for permission",
		SuggestFor: []string{"refuse", "reject", "disallow"},
		Long: `Deny a tool call that waits for permission, and print its id. The agent is told
so, with WHY, and its turn goes on. "iris cancel" ends the turn instead.

The agent may find another way. Its message ends with status 9 unless denied_ok
is set.` + decideText,
		Example: `  iris deny k7qm2
  iris deny k7qm2 use the test database`,
		Args:              between(1, many, "ID [WHY...]"),
		ValidArgsFunction: completeApprovals(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			why := strings.ToValidUTF8(strings.Join(args[1:], " "), "\uFFFD")
			return runDecide(cmd.Context(), opts, ipc.Decide{ID: args[0], Reason: why}, cmd.OutOrStdout())
		},
	}, opts.addFlags)
}
