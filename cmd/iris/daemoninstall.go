package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/config"
	"iris/ipc"
)

type daemonInstallOptions struct {
	*globals
	socketToo bool
	force     bool
}

func (o *daemonInstallOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.socketToo, "socket", false, "have systemd listen for the daemon, and start it at the first connection")
	f.BoolVar(&o.force, "force", false, "replace files that somebody has changed")
}

func newDaemonInstallCmd(g *globals) *cobra.Command {
	opts := daemonInstallOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Write systemd user units for the daemon",
		Long: `Write iris.service, with --socket iris.socket too, into the directory of your
systemd units, and print the commands that put them into service. Nothing is
run: "iris daemon install | sh" does.

With iris.service enabled, systemd starts the daemon when you log in, or at boot
with "loginctl enable-linger"; restarts it when it fails, five times a minute at
most; ends one that hangs; and keeps it and its agents in a control group of
their own, apart from the terminal or the cron job that sends the first message.
With iris.socket enabled, it starts the daemon at the first connection. A
command that finds no daemon has systemd start it wherever one of the two is
enabled. "iris --no-start" starts it neither way.

Agents outlive a daemon that is killed, and finish their turns
(KillMode=process); they have the environment of your login shell, not that of
systemd. The unit names this very program, and the configuration, socket and
directories that are chosen here by --config, IRIS_CONFIG, IRIS_SOCKET,
XDG_CONFIG_HOME or XDG_STATE_HOME. Keys of the configuration and anything else
go into a drop-in: "systemctl --user edit iris.service".

A file that iris has not written, or that was changed, is refused. iris.socket,
once installed, stays until "iris daemon uninstall".

FILES
  $XDG_CONFIG_HOME/systemd/user/iris.service, iris.socket

EXIT STATUS
0 1 2`,
		Example: `  iris daemon install --socket | sh
  journalctl --user -u iris -f`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemonInstall(opts, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runDaemonInstall(opts daemonInstallOptions, stdout io.Writer) error {
	p, err := opts.paths()
	if err != nil {
		return err
	}
	self, err := installed()
	if err != nil {
		return err
	}
	socket, err := hasSocketUnit(p)
	if err != nil {
		return err
	}
	socket = socket || opts.socketToo
	all, err := units(p, self, socket)
	if err != nil {
		return err
	}
	if err := refuseOthers(all, opts.force); err != nil {
		return err
	}
	for _, u := range all {
		if err := u.write(); err != nil {
			return ipc.Errorf(ipc.CodeFailed, "write %s: %s", u.path, err)
		}
	}
	return printInstalled(stdout, p, self, all, socket)
}

// installed returns the path of this program, at which systemd finds it too.
func installed() (string, error) {
	if runtime.GOOS != "linux" {
		return "", ipc.Errorf(ipc.CodeFailed, "there is no systemd on this system")
	}
	self, err := os.Executable()
	if err == nil {
		_, err = os.Stat(self)
	}
	if err != nil {
		return "", ipc.Errorf(ipc.CodeFailed, "this program is no longer where it was started: %s", err)
	}
	return self, nil
}

func hasSocketUnit(p config.Paths) (bool, error) {
	_, ours, err := unit{path: filepath.Join(p.Units, socketUnit)}.ours()
	return ours, err
}

// refuseOthers refuses files that we may not replace or remove.
func refuseOthers(all []unit, force bool) error {
	for _, u := range all {
		there, ours, err := u.ours()
		switch {
		case err != nil:
			return ipc.Errorf(ipc.CodeFailed, "%s", err)
		case there && !ours && !force:
			return &ipc.Error{
				Code: ipc.CodeFailed, Message: u.path + " was changed, or is not from iris",
				Data: &ipc.Data{Hint: "move your changes to a drop-in (systemctl --user edit " + filepath.Base(u.path) + ") and use --force"},
			}
		}
	}
	return nil
}

// write puts the file in its place at once or not at all.
func (u unit) write() error {
	if err := os.MkdirAll(filepath.Dir(u.path), 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(u.path), ".iris-*")
	if err != nil {
		return err
	}
	_, err = io.WriteString(temp, u.text)
	err = errors.Join(err, temp.Chmod(0o644), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), u.path)
	}
	if err != nil {
		os.Remove(temp.Name())
	}
	return err
}

// printInstalled prints what is to be run, as a shell takes it: where no systemd
// answers nothing is done, and a daemon that runs goes on.
func printInstalled(stdout io.Writer, paths config.Paths, self string, all []unit, socket bool) error {
	p := newPrinter(stdout, false)
	for _, u := range all {
		fmt.Fprintf(p, "# written: %s\n", u.path)
	}
	enable := serviceUnit
	if socket {
		enable = socketUnit
	}
	fmt.Fprintln(p, "systemctl --user daemon-reload &&")
	fmt.Fprintf(p, "%s daemon stop &&   # one that runs without systemd\n", strings.Join(commandFor(paths, self), " "))
	fmt.Fprint(p, "systemctl --user enable --now "+enable)
	if !lingers() {
		fmt.Fprint(p, " &&\nloginctl enable-linger   # from boot on, and after you log out; cron needs it")
	}
	fmt.Fprintln(p)
	return p.Close()
}

// commandFor is the beginning of a command line, as a shell takes it, for the
// daemon that a command with these paths means.
func commandFor(p config.Paths, self string) []string {
	words := []string{self}
	if p.Chosen() != "" {
		words = append(words, "--config", p.Chosen())
	}
	if p.Socket != p.Usual {
		words = append(words, "--socket", p.Socket)
	}
	for i, word := range words {
		words[i] = config.ShellQuote(word)
	}
	return words
}

// lingers reports whether systemd runs this user's units without a login.
func lingers() bool {
	u, err := user.Current()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join("/var/lib/systemd/linger", u.Username))
	return err == nil
}

func newDaemonUninstallCmd(g *globals) *cobra.Command {
	opts := daemonInstallOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove the systemd user units of the daemon",
		Long: `Remove what "iris daemon install" has written, and the links by which it is
enabled, and print the commands that have systemd forget it. Nothing is run:
"iris daemon uninstall | sh" does. Drop-ins stay. A file that iris has not
written, or that was changed, is refused.

EXIT STATUS
0 1 2`,
		Example: `  iris daemon uninstall`,
		Args:    between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemonUninstall(opts, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&opts.force, "force", false, "remove files that somebody has changed, too")
	return cmd
}

func runDaemonUninstall(opts daemonInstallOptions, stdout, stderr io.Writer) error {
	p, err := opts.paths()
	if err != nil {
		return err
	}
	names := []string{socketUnit, serviceUnit}
	var all []unit
	for _, name := range names {
		all = append(all, unit{path: filepath.Join(p.Units, name)})
	}
	if err := refuseOthers(all, opts.force); err != nil {
		return err
	}
	var removed []string
	for _, name := range names {
		for _, path := range []string{filepath.Join(p.Units, wants[name], name), filepath.Join(p.Units, name)} {
			err := os.Remove(path)
			if err == nil {
				removed = append(removed, path)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return ipc.Errorf(ipc.CodeFailed, "%s", err)
			}
		}
	}
	if len(removed) == 0 {
		say(stderr, "no unit of iris is installed")
		return nil
	}
	out := newPrinter(stdout, false)
	for _, path := range removed {
		fmt.Fprintf(out, "# removed: %s\n", path)
	}
	fmt.Fprintf(out, "systemctl --user stop %s %s\n", socketUnit, serviceUnit)
	fmt.Fprintln(out, "systemctl --user daemon-reload")
	return out.Close()
}
