package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"iris/cmd/iris/internal/terminal"
	"iris/config"
	"iris/ipc"
)

const editText = `The editor is $VISUAL, else $EDITOR, else vi. When it is closed, the
configuration is checked. If it has a mistake, every mistake is printed; on a
terminal you are asked whether to edit again, otherwise the status is 2. The
file stays as you left it, and a daemon goes on with the configuration from
before until it is valid. A valid one is taken up by a running daemon.

Commands run by an agent cannot do this (2).

EXIT STATUS
0 1 2 3`

func newConfigEditCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "edit",
		Short: "Edit the configuration file and check it",
		Long: `Edit the configuration file. If there is none, you get that of "iris config
sample" to start from; if you leave it unchanged, it is not kept.

` + editText,
		Example: `  iris config edit
  EDITOR="code --wait" iris config edit`,
		Args: between(0, 0, ""),
		RunE: runs(g, runConfigEdit),
	}
}

func runConfigEdit(ctx context.Context, g *globals, _ []string, s streams) error {
	p, err := g.ofAnyConfig().paths()
	if err != nil {
		return err
	}
	return g.edit(ctx, p.Config, config.Sample(), s)
}

func newTeamEditCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:        "edit NAME",
		Short:      "Edit the settings of a team and check them",
		SuggestFor: []string{"update", "set", "config", "change"},
		Long: `Edit the file that defines a team: its own in conf.d, or the configuration file.

` + editText + ` 4`,
		Example:           `  iris team edit api`,
		Args:              between(1, 1, "NAME"),
		ValidArgsFunction: completeTeams(g),
		RunE:              runs(g, runTeamEdit),
	}
}

func runTeamEdit(ctx context.Context, g *globals, args []string, s streams) error {
	p, err := g.paths()
	if err != nil {
		return err
	}
	file, err := config.FileOf(p, args[0])
	if err != nil {
		return configError(err)
	}
	return g.edit(ctx, file, "", s)
}

// edit has the user edit a file of the configuration until the configuration is valid
// or the user gives up. A file that does not exist begins with start.
func (g *globals) edit(ctx context.Context, file, start string, s streams) error {
	if err := g.notByAgents(ctx, "edit the configuration"); err != nil {
		return err
	}
	if file == os.DevNull {
		return usagef("", "%s is no file to edit", file)
	}
	begun, err := beginFile(file, start)
	if err != nil {
		return usagef("", "%s", err)
	}
	for {
		err := g.openEditor(ctx, file, s)
		if begun && sameText(file, start) {
			return dropFile(file, err, s)
		}
		if err != nil {
			return editorError(err, "; the file is "+file)
		}
		_, problems, err := g.checked()
		if err != nil {
			return err
		}
		if len(problems) == 0 {
			break
		}
		for _, p := range problems {
			say(s.err, "%s", p)
		}
		if !editAgain(s) {
			return silentError(ipc.CodeUsage)
		}
	}
	done := file + " is valid"
	if err := g.takeUpDone(ctx, s.err, done); err != nil {
		return err
	}
	terminal.Done(s.err, "%s", done)
	return nil
}

// beginFile makes a file for the editor, unless it exists: nobody else may write to
// it, whatever the umask is.
func beginFile(file, start string) (begun bool, err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return false, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.WriteString(start)
	return true, errors.Join(err, f.Close())
}

// dropFile removes a file that was begun and is unchanged; failed is the error of the
// editor.
func dropFile(file string, failed error, s streams) error {
	err := os.Remove(file)
	if failed != nil {
		return editorError(failed, "")
	}
	if err == nil {
		terminal.Done(s.err, "nothing is changed")
	}
	return err
}

func sameText(file, text string) bool {
	data, err := os.ReadFile(file)
	return err == nil && string(data) == text
}

// openEditor opens a file in the user's editor and waits until that ends. As with git,
// a shell splits the words of the variable. The error names the editor.
func (g *globals) openEditor(ctx context.Context, file string, s streams) error {
	editor := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi")
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", editor+` "$@"`, editor, file)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	g.leaveQuit()
	defer func() { g.leaveQuit = endAtQuit() }()
	if err := leavingKeys(cmd, func() {}); err != nil {
		return fmt.Errorf("the editor %q: %w", editor, err)
	}
	return nil
}

// editorError adds the hint to an error of openEditor; file says where the text is, if it
// is kept.
func editorError(err error, file string) error {
	return &ipc.Error{Code: ipc.CodeFailed, Message: err.Error(), Data: &ipc.Data{Hint: "set VISUAL or EDITOR to another one" + file}}
}

// editAgain asks the user at a terminal.
func editAgain(s streams) bool {
	if !terminal.Is(s.in) || !terminal.Is(s.err) {
		return false
	}
	fmt.Fprint(s.err, "Edit again? [Y/n] ")
	line, err := bufio.NewReader(s.in).ReadString('\n')
	return err == nil && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "n")
}
