package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type approvalsOptions struct {
	*globals
	verbose bool
	json    bool
}

func (o *approvalsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print all of each, with the whole input of the tool")
	f.BoolVar(&o.json, "json", false, "print a JSON array")
}

func newApprovalsCmd(g *globals) *cobra.Command {
	opts := approvalsOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "approvals [TEAM[@SESSION] | ID]",
		Short:      "List the tool calls that wait for permission",
		SuggestFor: []string{"approval", "pending", "permissions"},
		Long: `List the tool calls that wait for somebody's permission, the oldest first. There
are some only where the configuration has approvals = "ask"; otherwise a tool
that needs permission is denied at once. Without a daemon nothing waits, and
none is started.

TEAM alone stands for all of its conversations. On a terminal the table shows a
part of each input; with the ID of one, or with -v, all of it is printed, each
line behind a bar. What could steer a terminal is shown as an escape sequence.

"iris approve ID" allows one, "iris deny ID" denies it; nobody's decision denies
it at its deadline, approval_timeout of the configuration. When its turn ends
before, or the daemon, it is gone; after "iris daemon restart" it still waits.

JSON
  an array of objects: id, process, team, session, message, tool, input (as the
  agent gave it), description, blocked_path, why, asked, deadline (null for
  never); those that do not apply are left out

EXIT STATUS
0 2 3 4`,
		Example: `  iris approvals
  iris approvals k7qm2
  iris approvals --json | jq -r '.[] | select(.tool == "Read").id' |
      xargs -n1 iris approve`,
		Args:              between(0, 1, "[TEAM[@SESSION] | ID]"),
		ValidArgsFunction: completeApprovals(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runApprovals(cmd.Context(), opts, args, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runApprovals(ctx context.Context, opts approvalsOptions, args []string, stdout io.Writer) error {
	list, alone, err := opts.list(ctx, args)
	if err != nil {
		return err
	}
	now := time.Now()
	switch {
	case opts.json:
		return printJSON(stdout, orEmpty(list))
	case opts.verbose || alone:
		var b strings.Builder
		for i := range list {
			if i > 0 {
				b.WriteString("\n")
			}
			b.WriteString(approvalText(&list[i], now))
		}
		_, err := io.WriteString(stdout, b.String())
		return err
	}
	rows := make([][]string, len(list))
	for i := range list {
		rows[i] = approvalRow(&list[i], now, os.Getenv("HOME"))
	}
	fit(widthOf(stdout, 0), approvalHeader, rows)
	return printTable(stdout, approvalHeader, rows)
}

// list returns what is asked for; alone says that it is one, by its id.
func (o *approvalsOptions) list(ctx context.Context, args []string) (list []ipc.Approval, alone bool, err error) {
	if len(args) == 0 {
		list, err = o.approvals(ctx, ipc.ApprovalFilter{})
		return list, false, err
	}
	list, err = o.approvals(ctx, ipc.ApprovalFilter{ID: args[0]})
	if err == nil && len(list) > 0 || err != nil && reasonOf(err) != "no-such-approval" {
		return list, true, err
	}
	team, session, err := parseTarget(args[0])
	if err != nil {
		return nil, false, err
	}
	list, err = o.approvals(ctx, ipc.ApprovalFilter{Team: team})
	if reasonOf(err) == "no-such-team" {
		return nil, false, orDirectory(team, ipc.Errorf(ipc.CodeNotFound, "no approval %q waits, and there is no such team", args[0]))
	}
	return slices.DeleteFunc(list, func(a ipc.Approval) bool { return session != "" && a.Session != session }), false, err
}

// approvals asks the daemon; without one nothing waits.
func (g globals) approvals(ctx context.Context, f ipc.ApprovalFilter) ([]ipc.Approval, error) {
	g.noStart = true
	var list ipc.ApprovalList
	err := g.call(ctx, ipc.MethodApprovals, &f, &list)
	if errors.Is(err, ipc.ErrNoDaemon) {
		return nil, nil
	}
	return list.Approvals, err
}

var approvalHeader = []string{"ID", "AGE", "DENIED", "TEAM", "TOOL", "INPUT"}

func approvalRow(a *ipc.Approval, now time.Time, home string) []string {
	return []string{
		a.ID, short(now.Sub(a.Asked)), in(now, a.Deadline), tilde(name(a.Team, a.Session), home), a.Tool, string(a.Input),
	}
}

// approvalText is an approval with its whole input. Each line of what comes from
// elsewhere has a mark before it, so that none can pass for one of ours.
func approvalText(a *ipc.Approval, now time.Time) string {
	var b bytes.Buffer
	fields := [][2]string{
		{"approval", a.ID}, {"team", name(a.Team, a.Session)}, {"message", a.Message},
		{"asked", ago(now, &a.Asked) + ", denied " + in(now, a.Deadline)},
		{"tool", a.Tool}, {"about", a.Description}, {"outside", a.BlockedPath}, {"because", a.Why},
	}
	printFields(&b, slices.DeleteFunc(fields, func(f [2]string) bool { return f[1] == "" }))
	members, ok := inputMembers(a.Input)
	if !ok {
		members = [][2]string{{"", string(a.Input)}}
	}
	for _, m := range members {
		if m[0] != "" {
			fmt.Fprintf(&b, "input %s:\n", escape(m[0]))
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(m[1], "\n"), "\n") {
			fmt.Fprintf(&b, "  | %s\n", safeLine(line))
		}
	}
	return b.String()
}

// safeLine is a line whose tabs stay tabs.
func safeLine(s string) string {
	parts := strings.Split(s, "\t")
	for i := range parts {
		parts[i] = escape(parts[i])
	}
	return strings.Join(parts, "\t")
}

// inputMembers takes an object apart, in its order; texts stand as they are, other
// values as JSON.
func inputMembers(input json.RawMessage) (members [][2]string, ok bool) {
	d := json.NewDecoder(bytes.NewReader(input))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		var value json.RawMessage
		key, err := d.Token()
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			return nil, false
		}
		text := string(value)
		if value[0] == '"' && json.Unmarshal(value, &text) != nil {
			return nil, false
		}
		members = append(members, [2]string{fmt.Sprint(key), text})
	}
	return members, true
}

// completeApprovals completes the first argument with the ids of those that wait.
func completeApprovals(g *globals) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var list ipc.ApprovalList
		g.askQuietly(ipc.MethodApprovals, &ipc.ApprovalFilter{}, &list)
		var ids []string
		for _, a := range list.Approvals {
			ids = append(ids, a.ID+"\t"+escape(name(a.Team, a.Session)+" "+a.Tool))
		}
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}
