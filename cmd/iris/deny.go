package main

import (
	"strings"

	"github.com/spf13/cobra"

	"iris/ipc"
)

func newDenyCmd(g *globals) *cobra.Command {
	opts := decideOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "deny ID [WHY...]",
		Short:      "Deny a tool call that waits for permission",
		SuggestFor: []string{"refuse", "reject", "disallow"},
		Long: `Deny a tool call that waits for permission, and print its id. The agent is told
so, and WHY, and its turn goes on: it may find another way. Its message ends
with status 9 unless denied_ok is set. "iris cancel" ends the turn instead.` + decideText,
		Example: `  iris deny k7qm2
  iris deny k7qm2 use the test database`,
		Args:              between(1, many, "ID [WHY...]"),
		ValidArgsFunction: completeApprovals(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			why := strings.ToValidUTF8(strings.Join(args[1:], " "), "\uFFFD")
			return runDecide(cmd.Context(), opts, ipc.Decide{ID: args[0], Reason: why}, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}
