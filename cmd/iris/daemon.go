package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/config"
	"iris/daemon"
	"iris/ipc"
)

type daemonOptions struct {
	*globals
	readyFD   int
	takeover  int               // descriptor with the state of the earlier program
	trial     string            // directory in which to try this program
	keys      map[string]string // flag -> key of the configuration
	overrides []config.Override
}

// addFlags declares a flag for each key of the configuration that has an environment
// variable.
func (o *daemonOptions) addFlags(f *pflag.FlagSet) {
	f.IntVar(&o.readyFD, "ready-fd", 0, "descriptor to say \"ok\" on")
	f.MarkHidden("ready-fd")
	f.IntVar(&o.takeover, "takeover-fd", 0, "descriptor of what the program before this one in this process has left")
	f.MarkHidden("takeover-fd")
	f.StringVar(&o.trial, "try", "", "only say whether this program can take the place of the daemon whose journal is in that directory")
	f.MarkHidden("try")
	o.keys = make(map[string]string)
	for _, k := range config.Keys() {
		if k.Env == "" {
			continue
		}
		flag := flagName(k)
		o.keys[flag] = k.Name
		textVar(f, new(string), flag, "VALUE", summary(k.Doc))
		f.SetAnnotation(flag, manualOnly, nil)
	}
}

// completeValues completes the flags that take one of a few words.
func completeValues(cmd *cobra.Command) {
	for _, k := range config.Keys() {
		if k.Env != "" && len(k.Words) > 0 {
			completeWords(cmd, flagName(k), k.Words)
		}
	}
}

func flagName(k config.Key) string { return strings.ReplaceAll(k.Name, "_", "-") }

// summary is the first sentence of a text, in the form of a flag's help.
func summary(doc string) string {
	first, _, _ := strings.Cut(doc, ". ")
	return strings.ToLower(first[:1]) + strings.TrimSuffix(first[1:], ".")
}

// collect records the keys that were set by flag.
func (o *daemonOptions) collect(f *pflag.FlagSet) {
	f.Visit(func(flag *pflag.Flag) {
		if key, ok := o.keys[flag.Name]; ok {
			o.overrides = append(o.overrides, config.Override{Key: key, Value: flag.Value.String(), Source: "--" + flag.Name})
		}
	})
}

func newDaemonCmd(g *globals) *cobra.Command {
	opts := daemonOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "daemon [COMMAND]",
		Short:      "Run the daemon in the foreground, or control it",
		SuggestFor: []string{"server", "serve", "start"},
		Long: `Run the daemon in the foreground, as a service manager does. You need not do
this: the first command that needs a daemon starts one in the background. Each
key of iris-config(5) is a flag, such as --max-processes 4.

There is one daemon for each user and state directory. SIGTERM, SIGINT and
SIGQUIT end it after the running turns, within drain_timeout; a second signal
ends it at once. SIGHUP reloads the configuration. SIGHUP and SIGINT stay
ignored if the caller ignores them. A flag takes precedence over the variable of
its key, such as IRIS_MAX_PROCESSES, and over the configuration file. A daemon
that a command starts gets no flags.

EXIT STATUS
0 2 3`,
		Example: `  iris daemon --max-processes 4 --idle-timeout 30m
  iris daemon stop`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.collect(cmd.Flags())
			return runs(&opts, runDaemon)(cmd, args)
		},
	}
	cmd.SuggestionsMinimumDistance = 2
	opts.addFlags(cmd.Flags())
	completeValues(cmd)
	cmd.AddCommand(newDaemonStopCmd(g), newDaemonRestartCmd(g), newDaemonReloadCmd(g), newDaemonStatusCmd(g),
		newDaemonInstallCmd(g), newDaemonUninstallCmd(g), newDaemonSettleCmd(g))
	return cmd
}

// again returns the arguments to start this daemon again with another program in its
// process, without those for a single start.
func (o *daemonOptions) again(p config.Paths) []string {
	args := o.daemonArgs(p)
	for _, set := range o.overrides {
		args = append(args, set.Source+"="+set.Value)
	}
	return args
}

func runDaemon(ctx context.Context, opts *daemonOptions, _ []string, s streams) error {
	// Before the working directory changes. The daemon reports an error in it.
	paths, err := opts.ofAnyConfig().paths()
	if err != nil {
		return err
	}
	run := daemon.Options{
		Paths: paths, Overrides: opts.overrides, Version: buildVersion(), Stderr: s.err, Args: opts.again(paths),
	}
	if opts.readyFD == 0 { // a person may have started it with nohup, and no client decides for later ones
		run.Ignored = ignored(syscall.SIGHUP, syscall.SIGINT)
	}
	if opts.trial != "" {
		if err := daemon.Try(run, opts.trial, s.out); err != nil {
			return ipc.Errorf(ipc.CodeDaemon, "%s", err)
		}
		return nil
	}
	if run.Service, err = daemon.TakeService(); err != nil {
		return ipc.Errorf(ipc.CodeDaemon, "%s", err)
	}
	if terminal.Is(s.err) {
		say(s.err, "the daemon's log is %s; Ctrl-C ends it", paths.Log)
	}
	keep := run.Service.Descriptors()
	if opts.readyFD > 2 {
		run.Ready = os.NewFile(uintptr(opts.readyFD), "ready")
		keep = append(keep, opts.readyFD)
	}
	var lost error
	if opts.takeover > 2 {
		run.Handoff, lost = daemon.ReadHandoff(opts.takeover)
		keep = append(keep, run.Handoff.Descriptors()...)
	}
	run.Problems = errors.Join(lost, daemon.Isolate(keep...))
	opts.leaveQuit()
	err = daemon.Run(ctx, run)
	var wire *ipc.Error
	switch {
	case err == nil, errors.As(err, &wire):
		return err
	case errors.Is(err, daemon.ErrRunning):
		return &ipc.Error{Code: ipc.CodeDaemon, Message: err.Error(), Data: &ipc.Data{
			Hint: `"iris daemon status" shows it, "iris daemon stop" ends it`,
		}}
	}
	return ipc.Errorf(ipc.CodeDaemon, "%s", err)
}

// checkLimits reports why a daemon could not work with the limits of this process.
func checkLimits() error { return daemon.CheckLimits() }

// examine examines the teams as a daemon would, when there is none.
func examine(ctx context.Context, paths config.Paths) (ipc.Examination, error) {
	return daemon.Examine(ctx, paths)
}

// agentsFind reports whether the agents of a daemon in the background find a program by its
// name.
func agentsFind(ctx context.Context, command string) bool { return daemon.Finds(ctx, command) }

// settle waits for the agents of a stopped daemon, and returns how many are left to
// the next daemon.
func settle(ctx context.Context, p config.Paths) (left int, err error) {
	service, err := daemon.TakeService()
	if err == nil {
		left, err = daemon.AwaitOrphans(ctx, daemon.AwaitOptions{
			Paths: p, Service: service, Hold: func() (func(), error) { return holdStart(p) },
		})
	}
	var wire *ipc.Error
	if err == nil || errors.As(err, &wire) {
		return left, err
	}
	return left, ipc.Errorf(ipc.CodeDaemon, "%s", err)
}
