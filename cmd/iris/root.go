package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"iris/cmd/iris/internal/terminal"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// globals holds the flags of all commands.
type globals struct {
	socket  string
	config  string
	noStart bool

	anyConfig bool // accept a daemon with any configuration, and a missing file

	stderr    func() io.Writer // for messages before a command has begun
	args      []string         // as typed
	leaveQuit func() bool      // undoes endAtQuit
}

func (g *globals) addFlags(f *pflag.FlagSet) {
	f.Var(filledFlag(&g.socket, "PATH", "for the usual socket"), "socket", "Unix socket of the daemon; by default $IRIS_SOCKET, else in the runtime directory, else in the state directory")
	f.Var(filledFlag(&g.config, "FILE", "for the usual file"), "config", "configuration file; by default $IRIS_CONFIG, else iris/config.toml in $XDG_CONFIG_HOME")
	f.BoolVar(&g.noStart, "no-start", false, "do not start a daemon when there is none")
}

// streams are the streams of a command.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func streamsOf(cmd *cobra.Command) streams {
	return streams{cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()}
}

// runs turns the work of a command into a function for cobra.
func runs[O any](opts O, work func(ctx context.Context, opts O, args []string, s streams) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error { return work(cmd.Context(), opts, args, streamsOf(cmd)) }
}

// A constructor makes a command and its subcommands.
type constructor struct {
	name string
	make func(*globals) *cobra.Command
}

// A commandGroup is a part of the list of commands in the help.
type commandGroup struct {
	title    string
	commands []constructor
}

// commandGroups make the commands, in the order in which users need them.
var commandGroups = []commandGroup{
	{"Common commands", []constructor{
		{"send", newSendCmd},
		{"team", newTeamCmd},
		{"ps", newPsCmd},
		{"logs", newLogsCmd},
		{"doctor", newDoctorCmd},
	}},
	{"Messages", []constructor{
		{"messages", newMessagesCmd},
		{"wait", newWaitCmd},
		{"result", newResultCmd},
		{"show", newShowCmd},
		{"cancel", newCancelCmd},
		{"retry", newRetryCmd},
		{"resolve", newResolveCmd},
	}},
	{"Approvals", []constructor{
		{"approvals", newApprovalsCmd},
		{"approve", newApproveCmd},
		{"deny", newDenyCmd},
	}},
	{"Agents and sessions", []constructor{
		{"wake", newWakeCmd},
		{"evict", newEvictCmd},
		{"restart", newRestartCmd},
		{"kill", newKillCmd},
		{"session", newSessionCmd},
		{"attach", newAttachCmd},
		{"adopt", newAdoptCmd},
	}},
	{"The pool", []constructor{
		{"status", newStatusCmd},
		{"why", newWhyCmd},
		{"account", newAccountCmd},
		{"events", newEventsCmd},
		{"usage", newUsageCmd},
	}},
	{"Setting up", []constructor{
		{"config", newConfigCmd},
		{"daemon", newDaemonCmd},
		{"completion", newCompletionCmd},
		{"version", newVersionCmd},
		{"agent", newAgentCmd},
	}},
}

// newRootCmd builds the command tree for these arguments. If they name a command, the
// others are left out: every start would pay for them.
func newRootCmd(args ...string) *cobra.Command {
	g := &globals{args: args, leaveQuit: func() bool { return false }}
	var showVersion bool
	root := &cobra.Command{
		Use:   "iris COMMAND",
		Short: "Send messages to warm agents from the shell",
		Long: `iris keeps a bounded pool of warm Claude Code processes and sends them messages.
A team is a named project directory, and "echo" is a team that is always there.
The first command starts the daemon that owns the agents.

"iris team add NAME DIR" makes a team, "iris daemon stop" ends the daemon. Every
command prints data on stdout and messages for people on stderr, and its exit
status says what happened. "iris COMMAND -h" explains a command on one screen,
"iris help COMMAND" opens its manual, "iris help -a" lists all commands. A
program iris-NAME beside iris or in PATH is the command NAME, unless iris has
that itself.

With --json the data is one value in one line: an object, or an array for a
list. Only messages, events, cancel, wait and wake print an object a line,
because their data comes piece by piece.

Names and texts of agents cannot steer a terminal: control characters, 8-bit
ones and direction marks included, are shown as \x1b and the like. In a pipe,
answers and transcripts pass as they are; JSON has them escaped.

EXIT STATUS
0 1 2 3 4 5 6 7 8 9 10 11 12 13 65 75 124 130`,
		Example: `  iris send echo "hello"
  iris team add api ~/src/api
  git diff | iris send api "look at this"
  iris ps`,
		Args:              unknownCommand,
		ValidArgsFunction: completeExternals,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRun:  func(*cobra.Command, []string) { g.leaveQuit = endAtQuit() },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if showVersion {
				return runs(&jsonOptions{}, runVersion)(cmd, nil)
			}
			return cmd.Help()
		},
	}
	g.stderr = root.ErrOrStderr
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(g.flagError)
	root.Flags().BoolVar(&showVersion, "version", false, "print the version")
	g.addFlags(root.PersistentFlags())
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		if err := printHelp(cmd); err != nil { // cobra would end with 0
			os.Exit(report(cmd.ErrOrStderr(), err))
		}
	})
	root.SetHelpCommand(newHelpCmd())
	addCommands(root, g, args)
	return root
}

func addCommands(root *cobra.Command, g *globals, args []string) {
	var all []constructor
	for _, c := range commandGroups {
		all = append(all, c.commands...)
	}
	at := commandAt(root.PersistentFlags(), args)
	i := slices.IndexFunc(all, func(c constructor) bool { return at >= 0 && c.name == args[at] })
	if i >= 0 {
		all = all[i : i+1]
	}
	for _, c := range all {
		root.AddCommand(c.make(g))
	}
	if i < 0 {
		addExternal(root, g, at)
	}
}

// newHelpCmd is cobra's help command, but refuses unknown commands.
func newHelpCmd() *cobra.Command {
	var all bool
	help := &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Open the manual of a command",
		Long: `Open the manual of a command, without COMMAND that of iris. On a terminal man
shows it, if it is installed; otherwise it is printed as plain text.
"iris COMMAND -h" prints one screen of it.

For a NAME that is no command of its own iris runs the program iris-NAME, from the
directory of iris itself or else from PATH. "iris help -a" lists these, too, and
"iris help NAME" has such a program explain itself.

EXIT STATUS
0 1 2`,
		ValidArgsFunction: completeCommands,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all {
				return printAll(cmd, args)
			}
			of, rest, err := cmd.Root().Find(args)
			if err == nil && of == cmd.Root() && len(rest) > 0 {
				if found, err := helpExternal(cmd.Context(), rest[0], streamsOf(cmd)); found {
					return err
				}
			}
			switch {
			case err != nil:
				return err
			case len(rest) > 0 && !of.HasSubCommands():
				return usagef(fmt.Sprintf("%q explains it", "iris help "+strings.Join(path(of), " ")),
					"%s has no command %q below it", strings.Join(path(of), " "), rest[0])
			}
			if err := unknownCommand(of, rest); err != nil {
				return err
			}
			of.InitDefaultHelpFlag()
			if out := cmd.OutOrStdout(); !terminal.Is(out) || !openManual(of, out) {
				return printManual(out, of)
			}
			return nil
		},
	}
	help.Flags().BoolVarP(&all, "all", "a", false, "list every command, and the programs that are commands")
	return help
}

// group makes cmd a command that only has subcommands: alone it shows its help.
func group(cmd *cobra.Command, subs ...*cobra.Command) *cobra.Command {
	cmd.Args = unknownCommand
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(subs...)
	return cmd
}

// unknownCommand refuses an argument that is no subcommand.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	help := fmt.Sprintf("%q lists the commands", cmd.CommandPath()+" --help")
	if !cmd.HasParent() {
		help = `"iris help -a" lists the commands`
	}
	if way := otherWays[strings.ToLower(args[0])]; way != "" && !cmd.HasParent() {
		help = way
	} else if near := meant(cmd, args[0]); near != "" {
		help = fmt.Sprintf("did you mean %q?", cmd.CommandPath()+" "+near)
	}
	return usagef(help, "unknown command %q", strings.Join(append(path(cmd), args[0]), " "))
}

// otherWays say what to use instead of commands that iris does not have and that other
// programs do, and instead of the pages of the manual that are about no command; of
// mcp, what to do when its program is missing.
var otherWays = map[string]string{
	"chat":      "\"iris send TEAM MESSAGE\" sends each message of a chat: its session remembers the others",
	"clear":     "\"iris session reset TEAM\" begins a new conversation, \"iris send --fresh\" has one of its own",
	"exec":      "\"iris send TEAM MESSAGE\" has an agent do something, in its own words or as /COMMAND of Claude Code",
	"info":      "\"iris status\" is about the daemon, \"iris ps\" about agents, and \"iris show ID\" about a message",
	"internals": "\"man iris-internals\" opens the page about how iris drives Claude Code",
	"mcp":       "\"go install ./cmd/...\" installs the program iris-mcp, which is this command",
	"new":       "\"iris team add NAME DIR\" makes a team, \"iris session reset TEAM\" begins a new conversation",
	"protocol":  "\"man iris-protocol\" opens the page about the protocol of the socket",
	"recipes":   "\"man iris-recipes\" opens the page about scripts, cron jobs and systemd units",
	"resume":    "\"iris send TEAM MESSAGE\" goes on with the session of the team, and \"iris attach TEAM\" in this terminal",
	"rm":        "\"iris team rm TEAM\" removes a team, \"iris session reset TEAM\" forgets a conversation",
	"start":     "\"iris wake TEAM\" starts an agent; any command starts the daemon",
	"stop":      "\"iris kill TEAM\" stops an agent now, \"iris evict TEAM\" when it is idle, and \"iris daemon stop\" the daemon",
	"update":    "build the new version where you have built this one; \"iris daemon restart\" then has the daemon run it",
	"upgrade":   "build the new version where you have built this one; \"iris daemon restart\" then has the daemon run it",
}

// meant returns the command below cmd that word most likely means: by another word
// for it, by the name of a command further down, or by a typing error.
func meant(cmd *cobra.Command, word string) string {
	same := func(name string) bool { return strings.EqualFold(name, word) }
	for _, sub := range cmd.Commands() {
		if slices.ContainsFunc(sub.SuggestFor, same) {
			return sub.Name()
		}
	}
	for _, sub := range cmd.Commands() {
		for _, below := range sub.Commands() {
			if same(below.Name()) && below.IsAvailableCommand() {
				return sub.Name() + " " + below.Name()
			}
		}
	}
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		return near[0]
	}
	return ""
}

// path returns the names of cmd and its parents below the root.
func path(cmd *cobra.Command) []string {
	return strings.Fields(cmd.CommandPath())[1:]
}

// flagError turns an error of pflag into a usage error.
func (g *globals) flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	return usagef(fmt.Sprintf("see %q", cmd.CommandPath()+" --help"), "%s", flagProblem(err, g.args))
}

// flagProblem says what is wrong with a flag in the usual form: "--timeout is "soon":
// write it like 90s, 1h30m or 2d".
func flagProblem(err error, args []string) string {
	var (
		invalid *pflag.InvalidValueError
		unknown *pflag.NotExistError
		bare    *pflag.ValueRequiredError
	)
	switch {
	case errors.As(err, &invalid):
		return fmt.Sprintf("--%s is %q: %s", invalid.GetFlag().Name, invalid.GetValue(), valueProblem(invalid))
	case errors.As(err, &unknown):
		return unknownFlag(unknown.GetSpecifiedName(), unknown.GetSpecifiedShortnames(), args)
	case errors.As(err, &bare):
		return dashed(bare.GetSpecifiedName(), bare.GetSpecifiedShortnames()) + " needs a value"
	}
	return err.Error()
}

func valueProblem(invalid *pflag.InvalidValueError) string {
	if invalid.GetFlag().Value.Type() == "bool" {
		return "it must be true or false"
	}
	return errors.Unwrap(invalid).Error()
}

// unknownFlag names the flag, or the whole typed word if it is longer: a word with a
// blank in it was not meant as a flag.
func unknownFlag(name, letters string, args []string) string {
	flag := dashed(name, letters)
	i := slices.IndexFunc(args, func(arg string) bool {
		return arg != flag && letters != "" && strings.HasPrefix(arg, "-") && strings.HasSuffix(arg[1:], letters)
	})
	switch {
	case i < 0:
		return "unknown flag " + flag
	case strings.Contains(args[i], " "):
		return strconv.Quote(args[i]) + " is no flag"
	}
	return fmt.Sprintf("unknown flag %s in %q", flag, args[i])
}

// dashed is a flag as typed: alone, or as one letter of several.
func dashed(name, letters string) string {
	if letters != "" {
		return "-" + name
	}
	return "--" + name
}

// between returns a check for the number of arguments; names describes them, such as
// "TEAM".
func between(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		help := fmt.Sprintf("usage: %s", strings.TrimSpace(cmd.CommandPath()+" "+names))
		switch {
		case len(args) < least && len(args) == 0:
			return usagef(help, "%s needs an argument", strings.Join(path(cmd), " "))
		case len(args) < least:
			return usagef(help, "%s needs more arguments", strings.Join(path(cmd), " "))
		case len(args) > most:
			return usagef(help, "%s does not take the argument %q", strings.Join(path(cmd), " "), args[most])
		}
		return nil
	}
}
