package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/config"
)

type configSetOptions struct {
	*globals
	team string
}

func (o *configSetOptions) addFlags(f *pflag.FlagSet) {
	f.Var(filledFlag(&o.team, "TEAM", "to set it for all teams"), "team", "set it for this team alone")
}

func newConfigSetCmd(g *globals) *cobra.Command {
	opts := configSetOptions{globals: g}
	cmd := withFlags(&cobra.Command{
		Use:        "set [--team TEAM] KEY VALUE...",
		Short:      "Change one setting",
		SuggestFor: []string{"unset", "add", "change"},
		Long: `Change one setting in its file: the configuration file, or for a team the file
that defines the team. Everything else in the file stays as it is, with your
comments, and a running daemon takes the change up. A wrong value is refused,
and so is a directory, file or program that "iris config check" would not find;
nothing is written then.

teams.NAME.KEY is the KEY of --team NAME. The value needs no quotes but those of
the shell; each further VALUE is one more word of a list, and '' alone makes the
list empty. A value that begins with "[" or "{" is a list or a table as in the
file.

Commands run by an agent cannot do this (2).

EXIT STATUS
0 2 3 4`,
		Example: `  iris config set max_processes 4
  iris config set --team api idle_timeout 30m
  iris config set --team api -- args --model opus`,
		Args:              between(2, many, "[--team TEAM] KEY VALUE..."),
		ValidArgsFunction: completeKeys(&opts.team),
		RunE:              runs(&opts, runConfigSet),
	}, opts.addFlags)
	cmd.RegisterFlagCompletionFunc("team", completeTeams(g))
	return cmd
}

func runConfigSet(ctx context.Context, opts *configSetOptions, args []string, s streams) error {
	paths, err := opts.mayChange(ctx, "change the configuration")
	if err != nil {
		return err
	}
	team, key, err := settingOf(opts.team, args[0])
	if err != nil {
		return err
	}
	file, err := config.Set(paths, team, key, args[1:])
	if err != nil {
		return configError(err)
	}
	done := fmt.Sprintf("%s is set in %s", args[0], file)
	if err := opts.takeUpDone(ctx, s.err, done); err != nil {
		return err
	}
	terminal.Done(s.err, "%s", done)
	return nil
}

// settingOf splits teams.NAME.KEY. The name may hold dots, and quotes as in the file; of
// the keys only a variable of env has one.
func settingOf(team, key string) (string, string, error) {
	rest, ok := strings.CutPrefix(key, "teams.")
	at := strings.LastIndexByte(rest, '.')
	switch {
	case !ok:
		return team, key, nil
	case team != "" || at < 0:
		return "", "", usagef("write --team NAME KEY, or teams.NAME.KEY", "%q is no setting of a team", key)
	}
	if name, variable, ok := strings.Cut(rest, ".env."); ok && !isKey(rest[at+1:]) {
		return strings.Trim(name, `"`), "env." + variable, nil
	}
	return strings.Trim(rest[:at], `"`), rest[at+1:], nil
}

func isKey(name string) bool {
	return slices.ContainsFunc(config.Keys(), func(k config.Key) bool { return k.Name == name })
}

// completeKeys completes the key, and the value of a key with a few words.
func completeKeys(team *string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var words []string
		for _, k := range config.Keys() {
			switch {
			case len(args) == 0 && (*team == "" && k.Top || *team != "" && k.Team):
				words = append(words, k.Name+"\t"+k.Type)
			case len(args) == 1 && args[0] == k.Name:
				words = k.Words
			}
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}
