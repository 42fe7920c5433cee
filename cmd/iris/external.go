package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/config"
	"iris/config/sys"
	"iris/ipc"
)

// externalPrefix begins the names of programs that are commands of iris: "iris NAME" runs
// the program iris-NAME. A command of iris itself comes first.
const externalPrefix = "iris-"

// externalDirs returns the directories that are searched for such programs, in order: that
// of this program, then the absolute ones of PATH.
func externalDirs() (dirs []string) {
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self))
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// findExternal returns the program of a command, empty if there is none.
func findExternal(name string) string {
	if config.CheckName("command", name) != nil {
		return ""
	}
	for _, dir := range externalDirs() {
		path := filepath.Join(dir, externalPrefix+name)
		if isProgram(path) {
			return path
		}
	}
	return ""
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// externals lists the commands that are programs of their own, sorted, each with its program.
func externals(root *cobra.Command) (rows [][2]string) {
	known := map[string]bool{}
	for _, dir := range externalDirs() {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			name, ok := strings.CutPrefix(e.Name(), externalPrefix)
			path := filepath.Join(dir, e.Name())
			if !ok || known[name] || config.CheckName("command", name) != nil || isBuiltin(root, name) || !isProgram(path) {
				continue
			}
			known[name] = true
			rows = append(rows, [2]string{name, path})
		}
	}
	slices.SortFunc(rows, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return rows
}

// isBuiltin reports whether root itself has a command of that name. All commands have been
// added to root.
func isBuiltin(root *cobra.Command, name string) bool {
	of, _, err := root.Find([]string{name})
	return err != nil || of != root || name == "help" || strings.HasPrefix(name, "__")
}

// commandAt returns the index of the first argument that is neither one of the flags nor the
// value of one; -1 if there is another flag before it.
func commandAt(flags *pflag.FlagSet, args []string) int {
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "--")
		if !isFlag {
			return i
		}
		name, _, valued := strings.Cut(name, "=")
		f := flags.Lookup(name)
		if f == nil {
			return -1
		}
		if !valued && f.NoOptDefVal == "" {
			i++
		}
	}
	return -1
}

// addExternal adds the command that args name if it is a program of its own. All commands
// of iris itself have been added to root.
func addExternal(root *cobra.Command, g *globals, at int) {
	if at < 0 || isBuiltin(root, g.args[at]) {
		return
	}
	name := g.args[at]
	path := findExternal(name)
	if path == "" {
		return
	}
	root.AddCommand(&cobra.Command{
		Use:                name,
		Short:              path,
		DisableFlagParsing: true, // its flags are its own
		RunE: func(*cobra.Command, []string) error {
			if err := root.PersistentFlags().Parse(g.args[:at]); err != nil {
				return g.flagError(root, err)
			}
			return g.execExternal(path, g.args[at+1:])
		},
	})
}

// execExternal replaces this program by another one. That finds the same daemon: flags for
// all commands are passed on as variables.
func (g *globals) execExternal(path string, args []string) error {
	for name, value := range map[string]string{"IRIS_SOCKET": g.socket, "IRIS_CONFIG": g.config} {
		if value != "" {
			os.Setenv(name, absolute(value))
		}
	}
	g.leaveQuit()
	err := syscall.Exec(path, append([]string{filepath.Base(path)}, args...), os.Environ())
	return ipc.Errorf(ipc.CodeFailed, "run %s: %s", path, sys.Cause(err))
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// helpExternal prints what the program of a command says of itself; false if there is none.
func helpExternal(ctx context.Context, name string, s streams) (bool, error) {
	path := findExternal(name)
	if path == "" {
		return false, nil
	}
	cmd := exec.CommandContext(ctx, path, "--help")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		return true, silentError(exit.ExitCode())
	}
	return true, err
}

// printAll lists all commands with their purpose, and those that are programs of their own.
func printAll(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef(`usage: iris help -a`, "help -a does not take the argument %q", args[0])
	}
	var b strings.Builder
	commandSections(&b, cmd.Root())
	section(&b, "Programs of their own", 0, externals(cmd.Root()))
	_, err := io.WriteString(cmd.OutOrStdout(), strings.TrimPrefix(b.String(), "\n"))
	return err
}
