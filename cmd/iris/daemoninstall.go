package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/systemd"
	"iris/cmd/iris/internal/terminal"
	"iris/config"
	"iris/ipc"
)

type daemonInstallOptions struct {
	*globals
	socketToo bool
	force     bool
}

func (o *daemonInstallOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.socketToo, "socket", false, "have systemd listen, too; it starts the daemon at the first connection")
	f.BoolVar(&o.force, "force", false, "replace changed files, too")
}

func newDaemonInstallCmd(g *globals) *cobra.Command {
	opts := daemonInstallOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:   "install",
		Short: "Write systemd user units for the daemon",
		Long: `Write systemd user units for the daemon, and print the commands that put them
into service. Nothing is run: "iris daemon install | sh" runs the commands.

iris.service, and with --socket iris.socket too, go into the directory of your
systemd units. With iris.service enabled, systemd starts the daemon when you log
in, or at boot with "loginctl enable-linger"; it restarts a daemon that failed,
at most five times a minute; it ends a daemon that hangs; and it keeps the
daemon and its agents in their own control group, apart from the terminal or
cron job that sends the first message. With iris.socket enabled, it starts the
daemon at the first connection. A command that finds no daemon has systemd start
it, if either unit is enabled. "iris --no-start" starts no daemon either way.

Agents outlive a daemon that is killed, and finish their turns
(KillMode=process). They have the environment of your login shell, not of
systemd. The unit names this program and the configuration, socket and
directories that --config, IRIS_CONFIG, IRIS_SOCKET, XDG_CONFIG_HOME or
XDG_STATE_HOME choose here. Other keys go into a drop-in:
"systemctl --user edit iris.service".

A file that iris did not write, and a file that was changed, is refused. Once
installed, iris.socket stays until "iris daemon uninstall".

FILES
  $XDG_CONFIG_HOME/systemd/user/iris.service, iris.socket

EXIT STATUS
0 1 2`,
		Example: `  iris daemon install --socket | sh
  journalctl --user -u iris -f`,
		Args: between(0, 0, ""),
		RunE: runs(&opts, runDaemonInstall),
	}, opts.addFlags)
}

func runDaemonInstall(_ context.Context, opts *daemonInstallOptions, _ []string, s streams) error {
	p, err := opts.paths()
	if err != nil {
		return err
	}
	self, err := installed()
	if err != nil {
		return err
	}
	if _, err := exec.LookPath("systemctl"); err != nil {
		return &ipc.Error{Code: ipc.CodeFailed, Message: "systemd is not installed here: there is no program systemctl",
			Data: &ipc.Data{Hint: "no unit is needed: the first command starts the daemon"}}
	}
	_, socket, err := systemd.Unit{Path: filepath.Join(p.Units, systemd.Socket)}.Ours()
	if err != nil {
		return err
	}
	socket = socket || opts.socketToo
	all, err := systemd.Units(p, self, socket)
	if err != nil {
		return err
	}
	if err := refuseOthers(all, opts.force); err != nil {
		return err
	}
	for _, u := range all {
		if err := u.Write(); err != nil {
			return ipc.Errorf(ipc.CodeFailed, "write %s: %s", u.Path, err)
		}
	}
	return printInstalled(s.out, p, self, all, socket)
}

// installed returns the path of this program, where systemd finds it too.
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

// refuseOthers refuses files that iris may not replace or remove.
func refuseOthers(all []systemd.Unit, force bool) error {
	for _, u := range all {
		there, ours, err := u.Ours()
		switch {
		case err != nil:
			return ipc.Errorf(ipc.CodeFailed, "%s", err)
		case there && !ours && !force:
			return &ipc.Error{
				Code: ipc.CodeFailed, Message: u.Path + " was changed, or is not from iris",
				Data: &ipc.Data{Hint: "move your changes to a drop-in (systemctl --user edit " + filepath.Base(u.Path) + ") and use --force"},
			}
		}
	}
	return nil
}

// printInstalled prints the commands for a shell. If systemd does not answer, they do
// nothing, and a running daemon goes on.
func printInstalled(stdout io.Writer, paths config.Paths, self string, all []systemd.Unit, socket bool) error {
	p := terminal.NewPrinter(stdout, false)
	for _, u := range all {
		fmt.Fprintf(p, "# written: %s\n", u.Path)
	}
	enable := systemd.Service
	if socket {
		enable = systemd.Socket
	}
	fmt.Fprintln(p, "systemctl --user daemon-reload &&")
	fmt.Fprintf(p, "%s daemon stop &&   # one that runs without systemd\n", strings.Join(commandFor(paths, self), " "))
	fmt.Fprint(p, "systemctl --user enable --now "+enable)
	if !systemd.Lingers() {
		fmt.Fprint(p, " &&\nloginctl enable-linger   # from boot on, and after you log out; cron needs it")
	}
	fmt.Fprintln(p)
	return p.Close()
}

// commandFor is the beginning of a shell command for the daemon with these paths.
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

func newDaemonUninstallCmd(g *globals) *cobra.Command {
	opts := daemonInstallOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove the systemd user units",
		Long: `Remove the files of "iris daemon install" and the links that enable them, and
print the commands that have systemd forget them. Nothing is run: "iris daemon
uninstall | sh" runs the commands.

Drop-ins stay. A file that iris did not write, and a file that was changed, is
refused.

EXIT STATUS
0 1 2`,
		Example: `  iris daemon uninstall`,
		Args:    between(0, 0, ""),
		RunE:    runs(&opts, runDaemonUninstall),
	}
	cmd.Flags().BoolVar(&opts.force, "force", false, "remove changed files, too")
	return cmd
}

func runDaemonUninstall(_ context.Context, opts *daemonInstallOptions, _ []string, s streams) error {
	p, err := opts.paths()
	if err != nil {
		return err
	}
	names := []string{systemd.Socket, systemd.Service}
	var all []systemd.Unit
	for _, name := range names {
		all = append(all, systemd.Unit{Path: filepath.Join(p.Units, name)})
	}
	if err := refuseOthers(all, opts.force); err != nil {
		return err
	}
	var removed []string
	for _, name := range names {
		for _, path := range systemd.Files(p, name) {
			err := os.Remove(path)
			if err == nil {
				removed = append(removed, path)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return ipc.Errorf(ipc.CodeFailed, "%s", err)
			}
		}
	}
	if len(removed) == 0 {
		say(s.err, "no unit of iris is installed")
		return nil
	}
	out := terminal.NewPrinter(s.out, false)
	for _, path := range removed {
		fmt.Fprintf(out, "# removed: %s\n", path)
	}
	fmt.Fprintf(out, "systemctl --user stop %s %s\n", systemd.Socket, systemd.Service)
	fmt.Fprintln(out, "systemctl --user daemon-reload")
	return out.Close()
}
