package main

import (
	"cmp"
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iris/cmd/iris/internal/terminal"
	"iris/config"
	"iris/ipc"
)

func newCompletionCmd(*globals) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a completion script for a shell",
		Long: `Print a script that completes commands, flags and teams.

  bash        source <(iris completion bash)
  zsh         source <(iris completion zsh), after compinit
  fish        iris completion fish | source
  powershell  iris completion powershell | Out-String | Invoke-Expression

EXIT STATUS
0 2`,
		Example:   `  iris completion bash > ~/.local/share/bash-completion/completions/iris`,
		Args:      between(1, 1, "bash|zsh|fish|powershell"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCompletion(cmd.Root(), args[0], cmd.OutOrStdout())
		},
	}
}

func runCompletion(root *cobra.Command, shell string, stdout io.Writer) error {
	switch shell {
	case "bash":
		return bashCompletion(root, stdout)
	case "zsh":
		return root.GenZshCompletion(stdout)
	case "fish":
		return root.GenFishCompletion(stdout, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(stdout)
	}
	return usagef("it is one of bash, zsh, fish and powershell", "no completion for the shell %q", shell)
}

// completeCommands completes the names of commands and subcommands.
func completeCommands(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	of, rest, err := cmd.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, sub := range of.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name()+"\t"+sub.Short)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeExternals completes the commands that are programs of their own.
func completeExternals(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 { // the rest is the program's own
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	for _, row := range externals(cmd.Root()) {
		names = append(names, row[0]+"\t"+row[1])
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeAdded completes a team that "team rm" can remove.
func completeAdded(g *globals) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		cfg, err := g.loaded()
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return describe(cfg, cfg.AddedTeams()), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeTeams completes the first argument with the names of the configured teams,
// and after an "@" with the sessions of the team, if a daemon runs. A word with a
// slash is a directory.
func completeTeams(g *globals) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) > 0:
			return nil, cobra.ShellCompDirectiveNoFileComp
		case strings.HasPrefix(word, ".") || strings.Contains(word, "/"):
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
		if team, _, ok := strings.Cut(word, "@"); ok {
			return g.sessionsOf(team), cobra.ShellCompDirectiveNoFileComp
		}
		cfg, err := g.loaded()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return describe(cfg, cfg.TeamNames()), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeMessage completes the arguments of "iris send": a team, and then files to send
// along.
func completeMessage(g *globals) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return completeTeams(g)(cmd, args, word)
		}
		return completeAttached(word)
	}
}

// completeAttached completes "@FILE", and leaves other words to the shell.
func completeAttached(word string) ([]string, cobra.ShellCompDirective) {
	path, ok := strings.CutPrefix(word, "@")
	if !ok {
		return nil, cobra.ShellCompDirectiveDefault
	}
	dir, begin := filepath.Split(path)
	entries, _ := os.ReadDir(cmp.Or(dir, "."))
	var files []string
	for _, e := range entries {
		if name := e.Name(); strings.HasPrefix(name, begin) && (name[0] != '.' || begin != "") {
			if isDir(filepath.Join(dir, name)) {
				name += "/"
			}
			files = append(files, "@"+dir+name)
		}
	}
	if len(files) == 1 && strings.HasSuffix(files[0], "/") {
		return files, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return files, cobra.ShellCompDirectiveNoFileComp
}

// completeManyTeams completes every argument as completeTeams does the first, without
// those that are there already.
func completeManyTeams(g *globals) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		names, directive := completeTeams(g)(cmd, nil, word)
		names = slices.DeleteFunc(names, func(name string) bool {
			name, _, _ = strings.Cut(name, "\t")
			return slices.Contains(args, name)
		})
		return names, directive
	}
}

// sessionsOf lists the named sessions of a team.
func (g *globals) sessionsOf(team string) (names []string) {
	list, _ := g.quiet().Sessions(context.Background())
	now := time.Now()
	for _, c := range list {
		if c.Team == team && c.Session != "" {
			names = append(names, ipc.Name(c.Team, c.Session)+"\tbegun "+ago(now, &c.Created))
		}
	}
	return names
}

// quiet returns calls for completing a word in a shell: they never start a daemon,
// and do not wait for a slow one.
func (g *globals) quiet() ipc.Verbs { return g.within(completionLimit) }

// within returns calls that start no daemon and take no longer than limit.
func (g *globals) within(limit time.Duration) ipc.Verbs {
	return func(ctx context.Context, method string, params, result any) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return g.running().ofAnyConfig().call(ctx, method, params, result)
	}
}

// completeWords completes a flag that takes one of a few words.
func completeWords(cmd *cobra.Command, flag string, words []string) {
	cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeList completes a flag that takes several of a few words, separated by
// commas.
func completeList(cmd *cobra.Command, flag string, words []string) {
	cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, text string) ([]string, cobra.ShellCompDirective) {
		before := text[:strings.LastIndex(text, ",")+1]
		var rest []string
		for _, word := range words {
			if !slices.Contains(strings.Split(before, ","), word) {
				rest = append(rest, before+word)
			}
		}
		return rest, cobra.ShellCompDirectiveNoFileComp
	})
}

// many stands for any number of ids.
const many = math.MaxInt

// completions is how many messages are offered to a shell.
const completions = 50

// completionLimit is how long the daemon may take to answer. Tests change it.
var completionLimit = 200 * time.Millisecond

// completeMessages completes the first arguments, at most most of them, with the ids
// of messages in these states, or in any state, if a daemon runs.
func completeMessages(g *globals, most int, states ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, _ := g.quiet().Messages(context.Background(), ipc.MessageQuery{States: states, Limit: completions})
		var ids []string
		now := time.Now()
		for _, m := range list.Messages {
			if !slices.Contains(args, m.ID) {
				ids = append(ids, m.ID+"\t"+terminal.Escape(m.State+" "+ipc.Name(m.Team, m.Session)+" "+ago(now, &m.Accepted)))
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// describe adds its description to each name.
func describe(cfg *config.Config, names []string) []string {
	for i, name := range names {
		if d := cfg.Teams[name].Description; d != "" {
			names[i] += "\t" + d
		}
	}
	return names
}
