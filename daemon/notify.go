package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"iris/config"
	"iris/ipc"
)

// notifyTimeout bounds the command that tells of an approval. One that wants to
// stay longer goes into the background.
var notifyTimeout = 30 * time.Second

// notifyOf runs the command of a team that tells somebody of an approval. A
// failure is reported and changes nothing else: the approval waits on.
func (d *Daemon) notifyOf(t *config.Team, a ipc.Approval) {
	err := d.runNotify(t, a)
	if d.approvals.ending.Err() != nil {
		return
	}
	if err == nil {
		d.unnotified.Store(nil)
		return
	}
	d.log.Warn("nobody was notified of an approval", "approval", a.ID, "team", a.Team, "err", err)
	why := fmt.Sprintf("team %s: approval_notify failed for %s: %v", a.Team, a.ID, err)
	d.unnotified.Store(&why)
}

func (d *Daemon) runNotify(t *config.Team, a ipc.Approval) error {
	env := maps.Clone((*d.env.base.Load())().vars)
	delete(env, "IRIS_PROCESS") // it is no agent's
	for name, value := range map[string]string{
		"IRIS_APPROVAL": a.ID, "IRIS_TEAM": a.Team, "IRIS_SESSION": a.Session, "IRIS_MESSAGE": a.Message, "IRIS_TOOL": a.Tool,
		"IRIS_SOCKET": d.opts.Paths.Socket,
	} {
		env[name] = value
	}
	program, err := onPath(t.ApprovalNotify[0], env["PATH"])
	if err != nil {
		return err
	}
	all, err := json.Marshal(a)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(d.approvals.ending, notifyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, t.ApprovalNotify[1:]...)
	cmd.Env = toList(env)
	cmd.Dir = cmp.Or(env["HOME"], "/")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // what it has put into the background may hold its output
	var out, complaint head
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(all, '\n')), &out, &complaint
	err = d.reaper.Run(cmd)
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: ended after %v", program, notifyTimeout)
	case err == nil:
		return nil
	}
	said, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n")
	said = strings.ToValidUTF8(said[:min(len(said), 200)], "")
	return fmt.Errorf("%s: %w: %s", program, err, said)
}

// onPath finds a program along a search path that is not this process' own.
func onPath(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range filepath.SplitList(path) {
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil && filepath.IsAbs(dir) {
			return found, nil
		}
	}
	return "", fmt.Errorf("program %q is not on the agents' PATH (%s)", name, path)
}

// notifyWarning says that somebody may not know of an approval, or nothing.
func (d *Daemon) notifyWarning() []string {
	if why := d.unnotified.Load(); why != nil {
		return []string{*why}
	}
	return nil
}
