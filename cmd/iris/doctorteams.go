package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"iris/config"
	"iris/ipc"
)

// teams checks what agents would find: as the daemon says, or where there is
// none as one that a command starts would.
func (d *doctor) teams(ctx context.Context, p config.Paths, s *ipc.Status) {
	var found ipc.Examination
	var err error
	if s != nil {
		err = d.call(ctx, ipc.MethodExamine, nil, &found)
	} else {
		found, err = examine(ctx, p)
	}
	if err != nil {
		d.fail(status(err), "teams", hint(err), "%s", err)
		return
	}
	if s == nil && strings.HasPrefix(found.Env, "a guess") {
		d.warn("login shell", "", "it fails, so that agents have a plain PATH and no variables of your profile")
	}
	for i := range found.Teams {
		d.team(&found.Teams[i])
	}
}

// team has one line when all is well, and one for each thing that is not. One
// without a name stands for the directories that "iris send DIR" takes.
func (d *doctor) team(t *ipc.TeamCheck) {
	before, check := len(d.findings), "team"
	if t.Team == "" {
		check = "send DIR"
	}
	if t.DirError != "" {
		d.fail(ipc.CodeCannotRun, check, makingDir(t.Dir), "%s", t.DirError)
	}
	if t.EnvError != "" {
		d.fail(ipc.CodeCannotRun, check, "", "%s", t.EnvError)
	}
	switch {
	case t.ProgramError != "" && t.Program == "":
		d.fail(ipc.CodeCannotRun, check, installing(t.Command), "%s", t.ProgramError)
	case t.ProgramError != "":
		d.fail(ipc.CodeCannotRun, check, config.ShellQuote(t.Program)+" --version", "%s", t.ProgramError)
	case t.Login == "none":
		d.fail(ipc.CodeCannotRun, check, config.ShellQuote(t.Program)+" auth login", "not logged in: %s has neither a login nor a key in its environment", t.Program)
	case t.LoginError != "":
		d.warn(check, "", "cannot tell whether anybody is logged in: %s", t.LoginError)
	}
	if len(d.findings) == before {
		d.ok(check, "%s", teamText(t))
	}
	for i := range d.findings[before:] {
		d.findings[before+i].Team = t.Team
	}
}

// makingDir is how a directory comes to be where there is nothing.
func makingDir(dir string) string {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return "mkdir -p " + config.ShellQuote(dir)
}

// teamText is what is known of a team that is well.
func teamText(t *ipc.TeamCheck) string {
	if t.Agent != "claude" {
		return "the built-in agent"
	}
	where := t.Dir + ", "
	if t.Team == "" {
		where = ""
	}
	return where + t.Program + " " + cmp.Or(t.Version, "of an unknown version") + ", logged in (" + t.Login + ")"
}

// installing says how agents come to have a program that they do not find. It may
// be on the PATH of this shell, and not on that of a login shell.
func installing(command string) string {
	here, err := exec.LookPath(command)
	switch {
	case err == nil && filepath.IsAbs(here):
		return "write command = " + strconv.Quote(here) + " into the configuration, or have your login shell's PATH name its directory and run: iris daemon reload"
	case command == "claude":
		return "npm install -g @anthropic-ai/claude-code"
	}
	return ""
}
