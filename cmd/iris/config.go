package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/config"
	"iris/ipc"
)

func newConfigCmd(g *globals) *cobra.Command {
	return group(&cobra.Command{
		Use:        "config COMMAND",
		Short:      "Check and show the configuration",
		SuggestFor: []string{"configuration", "settings"},
		Long: `The configuration is $XDG_CONFIG_HOME/iris/config.toml, usually
~/.config/iris/config.toml, and conf.d/*.toml beside it. It may be missing,
unless --config or IRIS_CONFIG names it. Flags of "iris daemon" stand over the
environment, which stands over the files, which stand over the defaults.
iris-config(5) describes every key.

EXIT STATUS
0 2 3 4 8`,
		Example: `  iris config check
  iris config show --env api`,
	}, newConfigCheckCmd(g), newConfigPathCmd(g), newConfigSampleCmd(), newConfigShowCmd(g))
}

func newConfigCheckCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:        "check",
		Short:      "Say what is wrong with the configuration",
		SuggestFor: []string{"test", "validate", "lint"},
		Long: `Read the configuration as the daemon would, and print every mistake as
FILE:LINE:COLUMN: TEXT. One that is in no line has only its file, one of the
environment the name of its variable. Nothing is printed when there is none.
Directories, files and programs that the configuration names by their path and
that are missing count too, although the daemon runs with them and only these
teams do not. "iris doctor" looks for what is only a name, such as claude, on
the PATH of agents.

EXIT STATUS
0 2`,
		Example: `  iris config check
  iris config check --config new.toml && mv new.toml ~/.config/iris/config.toml`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runConfigCheck(g, cmd.OutOrStdout())
		},
	}
}

func runConfigCheck(g *globals, stdout io.Writer) error {
	paths, err := g.paths()
	if err != nil {
		return err
	}
	var problems config.Problems
	cfg, err := config.Load(paths)
	switch {
	case err == nil:
		problems = cfg.Check()
	case !errors.As(err, &problems):
		return err
	}
	for _, p := range problems {
		if _, err := fmt.Fprintln(stdout, escape(p.String())); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return silentError(ipc.CodeUsage)
	}
	return nil
}

type configPathOptions struct {
	*globals
	json bool
}

func (o *configPathOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

func newConfigPathCmd(g *globals) *cobra.Command {
	opts := configPathOptions{globals: g}
	cmd := &cobra.Command{
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
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runConfigPath(opts, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runConfigPath(opts configPathOptions, stdout io.Writer) error {
	g := *opts.globals
	g.anyConfig = true
	p, err := g.paths()
	if err != nil {
		return err
	}
	if !opts.json {
		out := newPrinter(stdout, false)
		fmt.Fprintln(out, p.Config)
		return out.Close()
	}
	socket, err := p.FindSocket()
	if err != nil {
		return usagef("", "%s", err)
	}
	return printJSON(stdout, struct {
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
	env  string
	json bool
}

func (o *configShowOptions) addFlags(f *pflag.FlagSet) {
	textVar(f, &o.env, "env", "TEAM", "show the environment that agents of TEAM are started with")
	f.BoolVar(&o.json, "json", false, "print a JSON array")
}

func newConfigShowCmd(g *globals) *cobra.Command {
	opts := configShowOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "show",
		Short:      "Print the settings in force, and where each is from",
		SuggestFor: []string{"ls", "list", "get"},
		Long: `Print every setting with its value and where it is from: a file and line, a
variable of the environment, or the default. The values are those of a daemon
that is started in the foreground, by "iris daemon" run from here: one that a
command starts takes no IRIS_* variable but IRIS_CONFIG and IRIS_SOCKET from its
caller. What it would not take is marked with "iris daemon" only.

With --env the daemon is asked what environment it starts agents of a team with,
and where each variable is from. Values that look like secrets are masked.

JSON
  an array of objects: key, value (as in TOML), source; with --env an object:
  team, vars (name, value, source)

EXIT STATUS
0 2 3 4 8`,
		Example: `  iris config show
  iris config show --env api`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("env") {
				return runConfigEnv(cmd.Context(), opts, cmd.OutOrStdout())
			}
			return runConfigShow(opts, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.RegisterFlagCompletionFunc("env", completeTeams(g))
	return cmd
}

func runConfigShow(opts configShowOptions, stdout io.Writer) error {
	paths, err := opts.paths()
	if err != nil {
		return err
	}
	cfg, err := config.Load(paths)
	if err != nil {
		return configError(err)
	}
	type setting struct {
		Key    string `json:"key"`
		Value  string `json:"value"`
		Source string `json:"source"`
	}
	settings := []setting{}
	var rows [][]string
	for _, s := range cfg.Show() {
		settings = append(settings, setting(s))
		if strings.HasPrefix(s.Source, "IRIS_") {
			s.Source += ` ("iris daemon" only)`
		}
		rows = append(rows, []string{s.Key, s.Value, s.Source})
	}
	if opts.json {
		return printJSON(stdout, settings)
	}
	return printTable(stdout, []string{"KEY", "VALUE", "SOURCE"}, rows)
}

func runConfigEnv(ctx context.Context, opts configShowOptions, stdout io.Writer) error {
	team, _, err := parseTarget(opts.env)
	if err != nil {
		return err
	}
	var env ipc.Env
	if err := opts.call(ctx, ipc.MethodEnv, &ipc.Target{Team: team}, &env); err != nil {
		return err
	}
	if opts.json {
		env.Vars = orEmpty(env.Vars)
		return printJSON(stdout, &env)
	}
	var rows [][]string
	for _, v := range env.Vars {
		rows = append(rows, []string{v.Name, v.Value, v.Source})
	}
	return printTable(stdout, []string{"NAME", "VALUE", "SOURCE"}, rows)
}
