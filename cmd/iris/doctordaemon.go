package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"iris/config"
	"iris/ipc"
)

// askUnit is for systemd to answer.
const askUnit = 3 * time.Second

// daemon checks the one that runs, and returns its status; nil when there is
// none, or none that answers.
func (d *doctor) daemon(ctx context.Context, p config.Paths) *ipc.Status {
	var s ipc.Status
	err := d.call(ctx, ipc.MethodStatus, nil, &s)
	switch {
	case errors.Is(err, ipc.ErrNoDaemon) && locked(p.Lock):
		d.fail(ipc.CodeDaemon, "daemon", "iris ps", "one has the lock %s, and none answers at the socket; if that stays so, end it: its log is %s", p.Lock, p.Log)
	case errors.Is(err, ipc.ErrNoDaemon):
		d.ok("daemon", "none runs; a command starts it")
	case err != nil:
		d.fail(status(err), "daemon", hint(err), "%s", err)
	default:
		d.running(ctx, &s)
		return &s
	}
	return nil
}

// running is about a daemon that answers.
func (d *doctor) running(ctx context.Context, s *ipc.Status) {
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
			Check: "agents", Team: name(b.Team, b.Session), Is: checkFail, status: ipc.CodeCannotRun, Mend: "iris wake " + config.ShellQuote(name(b.Team, b.Session)),
			Found: fmt.Sprintf("do not start (%s): %s", plural(b.Failures, "failure"), b.Error),
		})
	}
	d.leftovers(ctx)
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

// leftovers are agents of earlier daemons, which keep places.
func (d *doctor) leftovers(ctx context.Context) {
	var list ipc.ProcessList
	if d.call(ctx, ipc.MethodList, nil, &list) != nil {
		return
	}
	for _, p := range list.Processes {
		if strings.HasPrefix(p.Why, "left over") {
			d.findings = append(d.findings, finding{
				Check: "agent", Team: name(p.Team, p.Session), Is: checkWarn, Mend: "iris kill " + config.ShellQuote(name(p.Team, p.Session)),
				Found: fmt.Sprintf("pid %d is left over from an earlier daemon and ends its turn", p.PID),
			})
		}
	}
}

// unit looks at the units of systemd, where that is there.
func (d *doctor) unit(ctx context.Context) {
	systemctl, err := exec.LookPath("systemctl")
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askUnit)
	defer cancel()
	out, err := exec.CommandContext(ctx, systemctl, "--user", "is-enabled", "iris.socket", "iris.service").Output()
	states := strings.Fields(string(out))
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit), ctx.Err() != nil:
		d.warn("systemd", "", "systemctl --user does not answer")
	case len(states) != 2:
		d.ok("systemd", "no manager of yours runs, and none is needed")
	case states[0] == "enabled" || states[1] == "enabled":
		d.linger(ctx, states)
	default:
		d.ok("systemd", "iris.socket is %s, iris.service %s: commands start the daemon", states[0], states[1])
	}
}

// linger says whether units run while their user is not logged in.
func (d *doctor) linger(ctx context.Context, states []string) {
	text := fmt.Sprintf("iris.socket is %s, iris.service %s", states[0], states[1])
	out, err := exec.CommandContext(ctx, "loginctl", "show-user", fmt.Sprint(os.Getuid()), "--property=Linger", "--value").Output()
	if err == nil && strings.TrimSpace(string(out)) == "no" {
		d.warn("systemd", "loginctl enable-linger", "%s; they end when you log out", text)
		return
	}
	d.ok("systemd", "%s", text)
}
