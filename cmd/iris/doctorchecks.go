package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"iris/cmd/iris/internal/systemd"
	"iris/config"
	"iris/config/sys"
	"iris/ipc"
)

// daemon checks the running daemon, and returns its status; nil if there is none or
// it does not answer.
func (d *doctor) daemon(ctx context.Context) *ipc.Status {
	s, err := d.verbs().Status(ctx)
	switch {
	case errors.Is(err, ipc.ErrNoDaemon) && checkLimits() != nil:
		d.fail(ipc.CodeDaemon, "daemon", "start it from a shell without that limit", "none runs, and none can be started from here: %s", checkLimits())
	case errors.Is(err, ipc.ErrNoDaemon):
		d.ok("daemon", "none runs; a command starts it")
	case err != nil:
		d.fail(status(err), "daemon", hint(err), "%s", err)
	default:
		d.answers(ctx, &s)
		return &s
	}
	return nil
}

// answers checks a daemon that answers.
func (d *doctor) answers(ctx context.Context, s *ipc.Status) {
	switch ours := buildVersion(); {
	case s.Stopping:
		d.warn("daemon", "", "pid %d is stopping", s.PID)
	case s.Version != ours:
		d.warn("daemon", "iris daemon restart", "pid %d is version %s, this is %s", s.PID, s.Version, ours)
	default:
		d.ok("daemon", "pid %d, version %s, %d of %d agents, at %s", s.PID, s.Version, s.Total, s.Max, s.Socket)
	}
	if s.ConfigError != "" {
		d.fail(ipc.CodeUsage, "reload", "iris config check", "the daemon goes on with the configuration from before: %s", oneLine(s.ConfigError))
	}
	for _, w := range s.Warnings {
		d.warn("daemon", "", "%s", w)
	}
	d.journal(&s.Journal)
	for _, b := range s.Broken {
		d.findings = append(d.findings, finding{
			Check: "agents", Team: ipc.Name(b.Team, b.Session), Is: checkFail, status: ipc.CodeCannotRun, Fix: "iris daemon reload && iris wake " + config.ShellQuote(ipc.Name(b.Team, b.Session)),
			Found: fmt.Sprintf("do not start (%s): %s", plural(b.Failures, "failure"), b.Error),
		})
	}
	d.orphans(ctx)
}

func (d *doctor) journal(j *ipc.Journal) {
	switch {
	case j.Error != "":
		d.fail(ipc.CodeFailed, "journal", "iris status", "nothing is accepted: %s", j.Error)
	case j.Unknown > 0:
		d.warn("journal", "iris messages --state unknown", "nobody knows how %s ended", plural(j.Unknown, "message"))
	default:
		d.ok("journal", "%s", journalText(j))
	}
}

// orphans reports agents of earlier daemons, which take places.
func (d *doctor) orphans(ctx context.Context) {
	list, err := d.verbs().Processes(ctx, ipc.ProcessQuery{})
	if err != nil {
		return
	}
	for _, p := range list.Processes {
		does, found := "ends its turn", strings.HasPrefix(p.Why, "left over")
		if strings.HasSuffix(p.Why, "its turn is over") {
			does = "ends its background work"
		}
		if found {
			d.findings = append(d.findings, finding{
				Check: "agent", Team: ipc.Name(p.Team, p.Session), Is: checkWarn, Fix: "iris kill " + config.ShellQuote(ipc.Name(p.Team, p.Session)),
				Found: fmt.Sprintf("pid %d is left over from an earlier daemon and %s", p.PID, does),
			})
		}
	}
}

// unit checks the units of systemd, if there is systemd.
func (d *doctor) unit(ctx context.Context) {
	socket, service, err := systemd.States(ctx)
	text := fmt.Sprintf("iris.socket is %s, iris.service %s", socket, service)
	switch {
	case errors.Is(err, exec.ErrNotFound):
	case err != nil:
		d.warn("systemd", "", "systemctl --user does not answer")
	case socket == "":
		d.ok("systemd", "no systemd user manager runs, and none is needed")
	case socket != "enabled" && service != "enabled":
		d.ok("systemd", "%s: commands start the daemon", text)
	case !systemd.Lingers():
		d.warn("systemd", "loginctl enable-linger", "%s; they end when you log out", text)
	default:
		d.ok("systemd", "%s", text)
	}
}

// teams checks the teams: with the running daemon, or as a daemon started by a
// command would.
func (d *doctor) teams(ctx context.Context, p config.Paths, s *ipc.Status) {
	var found ipc.Examination
	var err error
	if s != nil {
		found, err = d.verbs().Examine(ctx)
	} else {
		found, err = examine(ctx, p)
	}
	if err != nil {
		d.fail(status(err), "teams", hint(err), "%s", err)
		return
	}
	var warnings []string
	if s != nil {
		warnings = s.Warnings
	}
	d.missed, d.askAgain = strings.Join(found.Shell.Problems, "; "), "time "+config.ShellQuote(found.Shell.Path)+" -lc true"
	if d.missed != "" && s != nil {
		d.askAgain = "iris daemon reload"
	}
	d.loginShell(&found.Shell, warnings)
	for i := range found.Teams {
		d.team(&found.Teams[i])
	}
}

// slowShell is how long a login shell may take without a warning.
const slowShell = 2 * time.Second

// loginShell reports a login shell that fails, hangs or is slow, unless the running daemon has
// reported it among its warnings.
func (d *doctor) loginShell(s *ipc.LoginShell, warnings []string) {
	took := time.Duration(s.Took) * time.Millisecond
	for _, problem := range s.Problems {
		if !slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, problem) }) {
			d.warn("login shell", d.askAgain, "%s", problem)
		}
	}
	if len(s.Problems) == 0 && took > slowShell {
		d.warn("login shell", d.askAgain, "%s took %v to read your profile: the first message after a start of the daemon waits for it", s.Path, took.Round(100*time.Millisecond))
	}
}

// team has one line if all is well, and else one for each problem. A team without a
// name stands for the directories that "iris send DIR" accepts.
func (d *doctor) team(t *ipc.TeamCheck) {
	before, check := len(d.findings), "team"
	if t.Team == "" {
		check = "send DIR"
	}
	if t.DirError != "" {
		d.fail(ipc.CodeCannotRun, check, makingDir(t.Dir), "%s", t.DirError)
	}
	if t.EnvError != "" {
		d.fail(ipc.CodeCannotRun, check, "put the file right, or change env_file by: "+editingTeam(t.Team), "%s", t.EnvError)
	}
	if t.SettingsError != "" {
		d.fail(ipc.CodeCannotRun, check, "put it right, or move it away", "%s; no agent starts: it would start without what the file says, such as its deny rules", t.SettingsError)
	}
	switch {
	case t.ProgramError != "" && t.Program == "":
		d.fail(ipc.CodeCannotRun, check, installing(t.Command), "%s", t.ProgramError)
	case t.ProgramError != "":
		d.fail(ipc.CodeCannotRun, check, config.ShellQuote(t.Program)+" --version", "%s", t.ProgramError)
	case t.Login == "none" && d.missed != "":
		d.fail(ipc.CodeCannotRun, check, d.askAgain, "not logged in: %s has neither a login nor a key in its environment; the likely cause: %s", t.Program, d.missed)
	case t.Login == "none":
		d.fail(ipc.CodeCannotRun, check, config.ShellQuote(t.Program)+" auth login", "not logged in: %s has neither a login nor a key in its environment%s", t.Program, notPassed(t))
	case t.LoginError != "":
		d.warn(check, "", "cannot tell whether anybody is logged in: %s", t.LoginError)
	}
	if t.KeepError != "" {
		d.warn(check, keeping(t.KeepPath), "Claude Code cannot keep its conversations: %s", t.KeepError)
	}
	for _, server := range t.Servers {
		d.warn(check, "", "its agent does not reach the MCP server %s; one that does not answer delays the first message after each start", server)
	}
	if len(d.findings) == before {
		d.ok(check, "%s", teamText(t))
	}
	for i := range d.findings[before:] {
		d.findings[before+i].Team = t.Team
	}
}

// editingTeam is the command that opens the settings of a team, or those of all teams.
func editingTeam(name string) string {
	if name == "" {
		return "iris config edit"
	}
	return "iris team edit " + config.ShellQuote(name)
}

// notPassed names the variables that may have to do with a login and that agents do not get:
// those of the login shell, and those of the caller.
func notPassed(t *ipc.TeamCheck) string {
	here := slices.DeleteFunc(credentialKeys(os.Environ()), func(name string) bool {
		return slices.Contains(t.Credentials, name) || slices.Contains(t.Withheld, name)
	})
	text := ""
	if len(t.Withheld) > 0 {
		text = "; your login shell has " + strings.Join(t.Withheld, ", ") + ", which pass_env of the team could pass"
	}
	if len(here) > 0 {
		text += "; this shell has " + strings.Join(here, ", ") + ", which your login shell has not: put it into your profile or an env_file"
	}
	return text
}

// keeping is the command after which Claude Code can write below path.
func keeping(path string) string {
	quoted := config.ShellQuote(path)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return ""
	case sys.Owner(info) != os.Geteuid() && os.Geteuid() != 0:
		return fmt.Sprintf("sudo chown -R %d %s", os.Geteuid(), quoted)
	case !info.IsDir():
		return config.MoveAway(path)
	case unix.Access(path, unix.W_OK|unix.X_OK) == unix.EACCES:
		return "chmod -R u+rwX " + quoted
	}
	return "df -h " + quoted
}

// makingDir is the command that makes a missing directory; empty if a file or a link
// that leads nowhere is in its way.
func makingDir(dir string) string {
	at := dir
	for {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		at = filepath.Dir(at)
	}
	if info, err := os.Stat(at); at == dir || err != nil || !info.IsDir() {
		return ""
	}
	return "mkdir -p " + config.ShellQuote(dir)
}

// teamText describes a team without problems.
func teamText(t *ipc.TeamCheck) string {
	switch t.Agent {
	case "claude":
	case "echo":
		return "the built-in agent"
	default:
		return t.Dir + ", " + t.Program + " by the adapter " + t.Agent
	}
	where := t.Dir + ", "
	if t.Team == "" {
		where = ""
	}
	return where + t.Program + " " + cmp.Or(t.Version, "of an unknown version") + ", logged in (" + t.Login + ")"
}

// installing says how to make a program available to agents that do not find it. It
// may be in the PATH of this shell, but not of a login shell.
func installing(command string) string {
	here, err := exec.LookPath(command)
	switch {
	case err == nil && filepath.IsAbs(here):
		return "write command = " + strconv.Quote(here) + " into the configuration, or have your login shell's PATH name its directory and run: iris daemon reload"
	case command != "claude":
		return ""
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return "install Claude Code with its own installer, which needs no npm: its documentation, under \"Set up\", has the command"
	}
	return "npm install -g @anthropic-ai/claude-code"
}
