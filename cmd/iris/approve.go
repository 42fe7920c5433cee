package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type decideOptions struct {
	*globals
	json bool
}

func (o *decideOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

const decideText = `

An id that is unknown is status 4, and so is one that was decided before, by
somebody else, by its deadline or by the end of its turn; the error says which.
What an agent has started may not decide (2).

JSON
  one object as "iris approvals --json" prints it, without input, and decision
  and by

EXIT STATUS
0 1 2 3 4`

func newApproveCmd(g *globals) *cobra.Command {
	opts := decideOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "approve ID",
		Short:      "Allow a tool call that waits for permission",
		SuggestFor: []string{"allow", "accept", "permit"},
		Long: `Allow a tool call that waits for permission, this once, and print its id. Its
turn goes on. "iris approvals ID" shows what it is about to do.` + decideText,
		Example: `  iris approvals
  iris approve k7qm2`,
		Args:              between(1, 1, "ID"),
		ValidArgsFunction: completeApprovals(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDecide(cmd.Context(), opts, ipc.Decide{ID: args[0], Allow: true}, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runDecide(ctx context.Context, opts decideOptions, params ipc.Decide, stdout io.Writer) error {
	a, err := opts.decide(ctx, params)
	if err != nil {
		return err
	}
	if opts.json {
		return printJSON(stdout, a)
	}
	_, err = fmt.Fprintln(stdout, escape(a.ID))
	return err
}

// decide decides about an approval. Without a daemon none waits.
func (g globals) decide(ctx context.Context, params ipc.Decide) (*ipc.Approval, error) {
	g.noStart = true
	a := new(ipc.Approval)
	err := g.call(ctx, ipc.MethodDecide, &params, a)
	if errors.Is(err, ipc.ErrNoDaemon) {
		return nil, ipc.Errorf(ipc.CodeNotFound, "no approval %q: no daemon is running", params.ID)
	}
	return a, err
}
