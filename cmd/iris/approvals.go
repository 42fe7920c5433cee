package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

type approvalsOptions struct {
	*globals
	verbose bool
	quiet   bool
	json    bool
}

func (o *approvalsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print all of each call, with the whole input of the tool")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print ids only, as other commands take them")
	f.BoolVar(&o.json, "json", false, "print a JSON array")
}

func newApprovalsCmd(g *globals) *cobra.Command {
	opts := approvalsOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "approvals [TEAM[@SESSION] | ID]",
		Short:      "List the tool calls that wait for permission",
		SuggestFor: []string{"approval", "pending", "permissions"},
		Long:       approvalsText,
		Example: `  iris approvals
  iris approvals k7qm2
  iris approvals --json | jq -r '.[] | select(.tool == "Read").id' |
      xargs -n1 iris approve`,
		Args:              between(0, 1, "[TEAM[@SESSION] | ID]"),
		ValidArgsFunction: completeApprovals(g),
		RunE:              runs(&opts, runApprovals),
	}, opts.addFlags)
}

const approvalsText = `List the tool calls that wait for permission, the oldest first. "iris approve
ID" allows a call and "iris deny ID" denies it; if nobody decides by the
deadline, the call is denied.

Calls wait only where the configuration has approvals = "ask"; otherwise a tool
that needs permission is denied at once. Without a daemon nothing waits, and no
daemon is started.

TEAM alone stands for all sessions of the team. On a terminal the table shows a
part of each input; with an ID or with -v all of the input is printed, each line
behind a bar. Characters that could steer a terminal are shown as escape
sequences. The options of an agent's question (AskUserQuestion) are numbered,
and "iris approve ID --answer TEXT" answers it. The subagent that asks, if one
does, is named in parentheses after the tool. The line "always" says what "iris
approve --always" would allow from now on, where the agent offers that.

The deadline is approval_timeout of the configuration. A turn that waits does
not count as stalled, and "iris ps" says which approval it waits for. A call is
gone when its turn or the daemon ends first. It still waits after "iris daemon
restart", and a call of a background subagent also after the result of the main
turn. When the daemon dies, Claude Code denies the tool by itself, and the
message says "approval lost".

At a terminal "iris send" and "iris wait" ask you directly: "y" or "yes" allows
the call, "a" or "always" is "iris approve --always", and any other answer
denies it. notify of the configuration runs a program for each call that waits:
iris-config(5) says what it gets, and iris-recipes(7) has one for the desktop.

An id may be shortened to its first 3 letters or more, as long as no other
approval begins with them.

iris never adds a permission bypass by itself. A bypass that you configured
(--dangerously-skip-permissions, bypassPermissions) is shown by "iris ps" and
"iris team ls". Commands run by an agent cannot approve, deny, kill, retry or
resolve, stop, restart or reload the daemon, change teams or the configuration,
reveal secrets, or use --allowed-tools or a --permission-mode other than plan
(2). Agents of a team with mcp = true may send messages to some teams only, and
only so many: iris-mcp(1). This is a guard rail, not a wall: an agent runs as
you, so a hostile agent can hide its origin, write into your configuration or
talk to other processes of yours. To rule something out, do it outside of iris:
with a container, a virtual machine or another user.

JSON
  an array of objects: id, process, team, session, message, tool, input (as the
  agent gave it), description, blocked_path, why, always (what "iris approve
  --always" would allow), questions (question, header, multiple, options: label,
  description, preview), subagent (id, kind, task), asked, deadline (null for
  never); members that do not apply are left out

EXIT STATUS
0 2 3 4`

func runApprovals(ctx context.Context, opts *approvalsOptions, args []string, s streams) error {
	list, alone, err := opts.list(ctx, args)
	if err != nil {
		return err
	}
	now := time.Now()
	switch {
	case opts.json:
		return terminal.JSON(s.out, orEmpty(list))
	case opts.quiet:
		return printEach(s.out, list, func(a *ipc.Approval) string { return a.ID })
	case opts.verbose || alone:
		var b strings.Builder
		for i := range list {
			if i > 0 {
				b.WriteString("\n")
			}
			b.WriteString(approvalText(&list[i], now))
		}
		_, err := io.WriteString(s.out, b.String())
		return err
	}
	rows := make([][]string, len(list))
	for i := range list {
		rows[i] = approvalRow(&list[i], now, os.Getenv("HOME"))
	}
	return terminal.FitTable(s.out, approvalHeader, rows)
}

// list returns the requested approvals; alone says that one was requested by its id.
func (o *approvalsOptions) list(ctx context.Context, args []string) (list []ipc.Approval, alone bool, err error) {
	if len(args) == 0 {
		list, err = o.approvals(ctx, ipc.ApprovalFilter{})
		return list, false, err
	}
	if args[0] != "" { // which would be all of them
		list, err = o.approvals(ctx, ipc.ApprovalFilter{ID: lowerID(args[0])})
		if err == nil && len(list) > 0 || err != nil && ipc.ReasonOf(err) != "no-such-approval" {
			return list, true, err
		}
	}
	team, session, err := parseTarget(args[0])
	if err != nil {
		return nil, false, err
	}
	list, err = o.approvals(ctx, ipc.ApprovalFilter{Team: team})
	if ipc.ReasonOf(err) == "no-such-team" {
		return nil, false, orDirectory(team, ipc.Errorf(ipc.CodeNotFound, "no approval %q waits, and there is no such team", args[0]))
	}
	return slices.DeleteFunc(list, func(a ipc.Approval) bool { return session != "" && a.Session != session }), false, err
}

// approvals asks the daemon; without a daemon nothing waits.
func (g globals) approvals(ctx context.Context, f ipc.ApprovalFilter) ([]ipc.Approval, error) {
	list, err := g.running().verbs().Approvals(ctx, f)
	if errors.Is(err, ipc.ErrNoDaemon) {
		return nil, nil
	}
	return list, err
}

var approvalHeader = []string{"ID", "AGE", "DENIED", "TEAM", "TOOL", "INPUT"}

func approvalRow(a *ipc.Approval, now time.Time, home string) []string {
	input := string(a.Input)
	if len(a.Questions) > 0 {
		input = questionsLine(a.Questions)
	}
	return []string{
		a.ID, short(now.Sub(a.Asked)), in(now, a.Deadline), tilde(ipc.Name(a.Team, a.Session), home), toolOf(a), input,
	}
}

// toolOf names a tool and the subagent that asks for it.
func toolOf(a *ipc.Approval) string {
	if a.Subagent == nil {
		return a.Tool
	}
	return a.Tool + " (" + cmp.Or(a.Subagent.Kind, "subagent") + ")"
}

// questionsLine is the questions of an agent in one line.
func questionsLine(questions []ipc.Question) string {
	var all []string
	for _, q := range questions {
		var options []string
		for i, o := range q.Options {
			options = append(options, fmt.Sprintf("%d %s", i+1, o.Label))
		}
		all = append(all, q.Text+" "+strings.Join(options, ", "))
	}
	return strings.Join(all, "; ")
}

// approvalText is an approval with its whole input. Each line of text from elsewhere
// has a mark before it, so that it cannot look like a line of iris.
func approvalText(a *ipc.Approval, now time.Time) string {
	var b bytes.Buffer
	fields := [][2]string{
		{"approval", a.ID}, {"team", ipc.Name(a.Team, a.Session)}, {"message", a.Message},
		{"asked", ago(now, &a.Asked) + ", denied " + in(now, a.Deadline)},
		{"tool", a.Tool}, {"subagent", subagentOf(a)}, {"about", a.Description}, {"path", a.BlockedPath}, {"because", a.Why},
		{"always", strings.Join(a.Always, ", ")},
	}
	terminal.Fields(&b, slices.DeleteFunc(fields, func(f [2]string) bool { return f[1] == "" }))
	for i := range a.Questions {
		writeQuestion(&b, &a.Questions[i], i+1)
	}
	members, ok := inputMembers(a.Input)
	if !ok {
		members = [][2]string{{"", string(a.Input)}}
	}
	for _, m := range members {
		if m[0] == "questions" && len(a.Questions) > 0 {
			continue
		}
		if m[0] != "" {
			fmt.Fprintf(&b, "input %s:\n", terminal.Escape(m[0]))
		}
		writeBarred(&b, "", m[1])
	}
	return b.String()
}

// subagentOf describes the subagent that asks; empty for the agent itself.
func subagentOf(a *ipc.Approval) string {
	s := a.Subagent
	switch {
	case s == nil:
		return ""
	case s.Task == "":
		return strings.TrimSpace(s.Kind + " " + s.ID)
	}
	return strings.TrimSpace(s.Kind+" "+s.ID) + ": " + s.Task
}

// writeQuestion prints a question with its numbered options.
func writeQuestion(b *bytes.Buffer, q *ipc.Question, number int) {
	fmt.Fprintf(b, "question %d", number)
	if q.Header != "" {
		b.WriteString(", " + terminal.Escape(q.Header))
	}
	if q.Multiple {
		b.WriteString(" (several answers)")
	}
	b.WriteString(":\n")
	writeBarred(b, "", q.Text)
	for i, o := range q.Options {
		writeBarred(b, strconv.Itoa(i+1), o.Label)
		for _, more := range []string{o.Description, o.Preview} {
			if more != "" {
				writeBarred(b, "", more)
			}
		}
	}
}

// writeBarred prints a text of the agent, each line behind a bar, with the mark
// before the first line.
func writeBarred(b *bytes.Buffer, mark, text string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		fmt.Fprintf(b, "%1s | %s\n", mark, safeLine(line))
		mark = ""
	}
}

// safeLine is a line that cannot steer a terminal; tabs are kept.
func safeLine(s string) string {
	parts := strings.Split(s, "\t")
	for i := range parts {
		parts[i] = terminal.Escape(parts[i])
	}
	return strings.Join(parts, "\t")
}

// inputMembers returns the members of an object in order; texts as they are, other
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

// completeApprovals completes the first argument with the ids of waiting approvals.
func completeApprovals(g *globals) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, _ := g.quiet().Approvals(context.Background(), ipc.ApprovalFilter{})
		var ids []string
		for _, a := range list {
			ids = append(ids, a.ID+"\t"+terminal.Escape(ipc.Name(a.Team, a.Session)+" "+a.Tool))
		}
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}
