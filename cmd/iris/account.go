package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

func newAccountCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	cmd := withFlags(&cobra.Command{
		Use:        "account [COMMAND]",
		Short:      "List the accounts that teams share, and their limits",
		SuggestFor: []string{"accounts", "limit", "limits", "quota"},
		Long:       accountText,
		Example: `  iris account
  iris account --json | jq -r '.[] | select(.state != "open").resets'
  iris account open default`,
		Args: unknownCommand,
		RunE: runs(&opts, runAccount),
	}, opts.addListFlags)
	cmd.AddCommand(newAccountOpenCmd(g))
	return cmd
}

const accountText = `List the accounts of the teams. Teams whose agents use the same credentials (API
key, token, apiKeyHelper or CLAUDE_CONFIG_DIR, base URL and provider, after
environment and settings files) share an account; "account" in a team of the
configuration overrides that. A name shows no secret.

When a turn reports a usage limit, an exhausted credit or a 429 that Claude Code
gave up on, the account is limited until the reset. If the agent names no reset,
iris tries again after 1 minute, doubling to 30. Until then no turn of that
account begins; its agents give way to those of other accounts. Then one message
goes first, the oldest; when it is through, the others follow. A restart of the
daemon changes nothing about that. --on-limit of "iris send" and on_limit of the
configuration have messages fail instead of waiting.

WAIT counts the messages that wait for a limited account. USED is how much of
each limit is used, as an agent has last reported it. While it is spare_below
(0.8) or more, spare messages wait (--spare of "iris send", or spare of the
team), which WAIT does not count. "iris account open" has the messages of a
limited account go on at once. Without a daemon, one is started.

JSON
  an array of objects: name, state (open, limited, or trying: one message goes
  first), resets, why and text (of a limit), message (that goes first), waiting
  (how many messages wait), teams and used (name, utilization from 0 to 1,
  resets); members that do not apply are left out

EXIT STATUS
0 2 3`

func runAccount(ctx context.Context, opts *jsonOptions, _ []string, s streams) error {
	list, err := opts.verbs().Accounts(ctx)
	if err != nil {
		return err
	}
	if opts.json {
		return terminal.JSON(s.out, orEmpty(list))
	}
	rows := make([][]string, len(list))
	for i := range list {
		rows[i] = accountRow(&list[i])
	}
	return terminal.FitTable(s.out, []string{"ACCOUNT", "STATE", "WAIT", "USED", "TEAMS"}, rows)
}

func accountRow(a *ipc.Account) []string {
	state := a.Text
	if state == "" {
		state = a.State
	}
	var used []string
	for _, w := range a.Used {
		used = append(used, fmt.Sprintf("%.0f%% of the %s", 100*w.Utilization, w.Name))
	}
	return []string{a.Name, state, fmt.Sprint(a.Waiting), strings.Join(used, ", "), strings.Join(a.Teams, " ")}
}

// waitingText says how many messages wait.
func waitingText(n int) string {
	if n == 1 {
		return "1 message waits"
	}
	return fmt.Sprintf("%d messages wait", n)
}

func newAccountOpenCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:   "open NAME",
		Short: "Have the messages of a limited account go on",
		Long: `Have the messages of a limited account go on at once, for example after its
credit was paid. If the account is still limited, the first turn closes it
again. Commands run by an agent cannot do that (2).

JSON
  the account as it was before, as "iris account --json" prints it

EXIT STATUS
0 2 3 4`,
		Example:           `  iris account open default`,
		Args:              between(1, 1, "NAME"),
		ValidArgsFunction: completeAccounts(g),
		RunE:              runs(&opts, runAccountOpen),
	}, opts.addFlags)
}

func runAccountOpen(ctx context.Context, opts *jsonOptions, args []string, s streams) error {
	a, err := opts.verbs().Open(ctx, args[0])
	switch {
	case err != nil:
		return err
	case opts.json:
		return terminal.JSON(s.out, &a)
	}
	say(s.err, "account %s is open, and was %s; %s", a.Name, a.Text, waitingText(a.Waiting))
	return nil
}

// completeAccounts completes the names of limited accounts.
func completeAccounts(g *globals) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, _ := g.quiet().Accounts(context.Background())
		for _, a := range list {
			if a.State != "open" {
				names = append(names, a.Name+"\t"+terminal.Escape(a.Text))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
