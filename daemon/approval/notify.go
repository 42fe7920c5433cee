package approval

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"iris/config"
	"iris/config/sys"
	"iris/ipc"
)

// notifyTimeout limits the command that reports an approval. A command that must run
// longer goes into the background.
const notifyTimeout = 30 * time.Second

// notifyOf runs the command of a team that reports an approval to somebody. If it
// fails, that is reported, and the approval still waits.
func (s *Registry) notifyOf(t *config.Team, a ipc.Approval) {
	err := s.runNotify(t, a)
	if s.ending.Err() != nil {
		return
	}
	if err == nil {
		s.notifyErr.Store(nil)
		return
	}
	s.o.Log.Warn("the command for an approval failed", "approval", a.ID, "team", a.Team, "err", err)
	why := fmt.Sprintf("team %s: approval_notify failed for %s: %v", a.Team, a.ID, err)
	s.notifyErr.Store(&why)
}

func (s *Registry) runNotify(t *config.Team, a ipc.Approval) error {
	env := s.o.Env()
	for name, value := range map[string]string{
		"IRIS_APPROVAL": a.ID, "IRIS_TEAM": a.Team, "IRIS_SESSION": a.Session, "IRIS_MESSAGE": a.Message, "IRIS_TOOL": a.Tool,
		"IRIS_SUBAGENT": subagentName(a.Subagent),
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
	ctx, cancel := context.WithTimeout(s.ending, notifyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, t.ApprovalNotify[1:]...)
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Dir = cmp.Or(env["HOME"], "/")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // its background processes may hold its output
	var out, complaint sys.Head
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(all, '\n')), &out, &complaint
	err = s.o.Run(cmd)
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: ended after %v", program, notifyTimeout)
	case err == nil:
		return nil
	}
	said, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n")
	return fmt.Errorf("%s: %w: %s", program, err, ipc.Clip(said, 200))
}

// subagentName names the subagent that asks; empty for the agent itself.
func subagentName(s *ipc.Subagent) string {
	if s == nil {
		return ""
	}
	return cmp.Or(s.Kind, s.ID)
}

// onPath finds a program in a search path other than this process' own.
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

// Warnings reports that the last notification of an approval failed.
func (s *Registry) Warnings() []string {
	if why := s.notifyErr.Load(); why != nil {
		return []string{*why}
	}
	return nil
}

// ClearWarnings clears the warnings: the next approval shows whether the command works now.
func (s *Registry) ClearWarnings() { s.notifyErr.Store(nil) }
