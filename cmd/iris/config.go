package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/config"
	"iris/ipc"
)

func newConfigCmd(g *globals) *cobra.Command {
	return group(&cobra.Command{
		Use:        "config COMMAND",
		Short:      "Check, show and change the configuration",
		SuggestFor: []string{"configuration", "settings"},
		Long: `Check, show and change the configuration: ~/.config/iris/config.toml and
conf.d/*.toml beside it. Both may be missing. iris-config(5) describes every
key.

Where $XDG_CONFIG_HOME is set, it stands in place of ~/.config. A file that
--config or IRIS_CONFIG names must exist. Flags of "iris daemon" take precedence
over the environment, the environment over the files, and the files over the
defaults.

EXIT STATUS
0 2 3 4 8`,
		Example: `  iris config check
  iris config set idle_timeout 30m
  iris config show --env api`,
	}, newConfigCheckCmd(g), newConfigEditCmd(g), newConfigPathCmd(g), newConfigSampleCmd(), newConfigSetCmd(g), newConfigShowCmd(g))
}

func newConfigCheckCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:        "check",
		Short:      "Find mistakes in the configuration",
		SuggestFor: []string{"test", "validate", "lint"},
		Long: `Read the configuration as the daemon would, and print every mistake as
FILE:LINE:COLUMN: TEXT. Nothing is printed if there is no mistake.

A mistake without a line has only its file; a mistake of the environment has the
name of its variable. A missing directory, file or program that the
configuration names by its path counts as a mistake, although the daemon runs
with it and only the teams concerned fail. "iris doctor" looks for bare names
such as claude on the PATH of agents. A file that is missing is a mistake while
a running daemon goes on with what it has read there.

Stderr has a note about a valid setting that means something else than in
earlier versions; that is no mistake.

EXIT STATUS
0 2`,
		Example: `  iris config check
  iris config check --config new.toml && mv new.toml ~/.config/iris/config.toml`,
		Args: between(0, 0, ""),
		RunE: runs(g, runConfigCheck),
	}
}

func runConfigCheck(_ context.Context, g *globals, _ []string, s streams) error {
	cfg, problems, err := g.checked()
	if err != nil {
		return err
	}
	if cfg != nil {
		problems = append(problems, missed(g, cfg)...)
		noteSettings(s.err, cfg)
	}
	if err := printEach(s.out, problems, (*config.Problem).String); err != nil {
		return err
	}
	if len(problems) > 0 {
		return silentError(ipc.CodeUsage)
	}
	return nil
}

// checked reads the configuration and returns what is wrong with it. The configuration is
// nil if it cannot be in force.
func (g *globals) checked() (*config.Config, config.Problems, error) {
	cfg, err := g.loaded()
	if problems, ok := errors.AsType[config.Problems](err); ok {
		return nil, problems, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return cfg, cfg.Check(), nil
}

// noteSettings says what the user should know about valid settings.
func noteSettings(stderr io.Writer, cfg *config.Config) {
	for _, n := range cfg.Notes() {
		say(stderr, "note: %s", n)
	}
}

// missed returns the running daemon's report that its configuration file is missing
// now.
func missed(g *globals, cfg *config.Config) config.Problems {
	paths, err := g.paths()
	if err != nil || slices.Contains(cfg.Files, paths.Config) {
		return nil
	}
	st, _ := g.within(whoseLimit).Status(context.Background())
	if why, about := strings.CutPrefix(st.ConfigError, paths.Config+" "); about {
		return config.Problems{{File: paths.Config, Msg: "it " + why}}
	}
	return nil
}

func newConfigPathCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:   "path",
		Short: "Print where iris keeps its files",
		Long: `Print the path of the configuration file, which need not exist.

JSON
  config, confd, state, spool, journal, log, socket

EXIT STATUS
0 2`,
		Example: `  iris config path
  tail -f "$(iris config path --json | jq -r .log)"`,
		Args: between(0, 0, ""),
		RunE: runs(&opts, runConfigPath),
	}, opts.addFlags)
}

func runConfigPath(_ context.Context, opts *jsonOptions, _ []string, s streams) error {
	p, err := opts.ofAnyConfig().paths()
	if err != nil {
		return err
	}
	if !opts.json {
		out := terminal.NewPrinter(s.out, false)
		fmt.Fprintln(out, p.Config)
		return out.Close()
	}
	socket, err := p.FindSocket()
	if err != nil {
		return usagef("", "%s", err)
	}
	return terminal.JSON(s.out, struct {
		Config  string `json:"config"`
		Confd   string `json:"confd"`
		State   string `json:"state"`
		Spool   string `json:"spool"`
		Journal string `json:"journal"`
		Log     string `json:"log"`
		Socket  string `json:"socket"`
	}{p.Config, p.Confd, p.State, p.Spool, p.Journal, p.Log, socket})
}

func newConfigSampleCmd() *cobra.Command {
	return &cobra.Command{
		Use:        "sample",
		Short:      "Print a configuration file to start from",
		SuggestFor: []string{"example", "init", "default"},
		Long: `Print a configuration file with every key, its meaning and its default, all of
it commented out.

EXIT STATUS
0 2`,
		Example: `  f=$(iris config path); mkdir -p -m 700 "${f%/*}"
  (umask 077; set -C; iris config sample > "$f")`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), config.Sample())
			return err
		},
	}
}

type configShowOptions struct {
	*globals
	env    string
	reveal bool
	json   bool
}

func (o *configShowOptions) addFlags(f *pflag.FlagSet) {
	textVar(f, &o.env, "env", "TEAM", "show the environment that agents of TEAM are started with")
	f.BoolVar(&o.reveal, "reveal", false, "with --env: do not mask secrets")
	f.BoolVar(&o.json, "json", false, "print a JSON array")
}

func newConfigShowCmd(g *globals) *cobra.Command {
	opts := configShowOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "show",
		Short:      "Print the settings in force and their sources",
		SuggestFor: []string{"ls", "list", "get"},
		Long: `Print every setting with its value and its source: a file and line, a variable
of the environment, or the default. With --env the daemon prints the environment
of a team's agents.

The values are those of a daemon in the foreground, started by "iris daemon"
from here. A daemon that a command starts takes no IRIS_* variable from its
caller except IRIS_CONFIG and IRIS_SOCKET; values that it would not take are
marked with "iris daemon" only.

--env also prints the source of each variable. Every value of env_file and
pass_env and every value that looks like a secret is masked: at most its last
four characters are shown. --reveal prints them whole; commands run by an agent
cannot do that (2).

JSON
  an array of objects: key, value (as in TOML), source; with --env an object:
  team, vars (name, value, source)

EXIT STATUS
0 2 3 4 8`,
		Example: `  iris config show
  iris config show --env api`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case cmd.Flags().Changed("env"):
				return runs(&opts, runConfigEnv)(cmd, args)
			case opts.reveal:
				return usagef("add --env TEAM", "--reveal is about the environment of agents")
			}
			return runs(&opts, runConfigShow)(cmd, args)
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.RegisterFlagCompletionFunc("env", completeTeams(g))
	return cmd
}

// settingView is a setting in JSON.
type settingView struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

func runConfigShow(_ context.Context, opts *configShowOptions, _ []string, s streams) error {
	cfg, err := opts.loaded()
	if err != nil {
		return configError(err)
	}
	settings := []settingView{}
	var rows [][]string
	for _, found := range cfg.Show() {
		settings = append(settings, settingView(found))
		if strings.HasPrefix(found.Source, "IRIS_") {
			found.Source += ` ("iris daemon" only)`
		}
		rows = append(rows, []string{found.Key, found.Value, found.Source})
	}
	if opts.json {
		return terminal.JSON(s.out, settings)
	}
	return terminal.Table(s.out, []string{"KEY", "VALUE", "SOURCE"}, rows)
}

func runConfigEnv(ctx context.Context, opts *configShowOptions, _ []string, s streams) error {
	team, _, err := parseTarget(opts.env)
	if err != nil {
		return err
	}
	env, err := opts.verbs().Env(ctx, ipc.EnvQuery{Team: team, Reveal: opts.reveal})
	if err != nil {
		return err
	}
	if opts.json {
		env.Vars = orEmpty(env.Vars)
		return terminal.JSON(s.out, &env)
	}
	var rows [][]string
	for _, v := range env.Vars {
		rows = append(rows, []string{v.Name, v.Value, v.Source})
	}
	return terminal.Table(s.out, []string{"NAME", "VALUE", "SOURCE"}, rows)
}
