package notify

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

	"iris/ipc"
	"iris/pool"
)

// run runs the command for an event, and returns the end of its standard error and why it
// failed. The settings may have changed since the event came: without a command it does
// nothing.
func (n *Notifier) run(e *ipc.Event) (stderr string, err error) {
	command := n.o.Settings(e.Team).Notify
	if len(command) == 0 {
		return "", nil
	}
	env := n.environment(e)
	program, err := onPath(command[0], env["PATH"])
	if err != nil {
		return "", err
	}
	var stdin bytes.Buffer
	enc := json.NewEncoder(&stdin)
	enc.SetEscapeHTML(false) // as "iris events --json"
	if err := enc.Encode(e); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(n.ending, n.maxTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, command[1:]...)
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Dir = cmp.Or(env["HOME"], "/")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // its background processes may hold its standard error
	var end tail
	cmd.Stdin, cmd.Stderr = &stdin, &end
	err = n.o.Run(cmd)
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return "", nil
	case n.ending.Err() != nil:
		err = errors.New("killed, since the daemon ends")
	case ctx.Err() != nil:
		err = fmt.Errorf("killed after %v", n.maxTime)
	}
	return end.String(), fmt.Errorf("%s: %w", program, err)
}

// environment returns the environment of the command for an event.
func (n *Notifier) environment(e *ipc.Event) map[string]string {
	env := n.o.Env()
	id := ""
	if pool.EventType(e.Type) == pool.ApprovalAsked {
		id, _, _ = strings.Cut(e.Detail, ":")
	}
	for name, value := range map[string]string{
		"IRIS_NOTIFY": wordOf(e), "IRIS_TEAM": e.Team, "IRIS_SESSION": e.Session,
		"IRIS_MESSAGE": e.Message, "IRIS_APPROVAL": id, "IRIS_DETAIL": e.Detail,
	} {
		env[name] = value
	}
	return env
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

// tail keeps the last 1024 bytes written to it.
type tail struct{ kept []byte }

// Write implements io.Writer. It takes all of p.
func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p[max(0, len(p)-1024):]...)
	t.kept = bytes.Clone(t.kept[max(0, len(t.kept)-1024):])
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(strings.ToValidUTF8(string(t.kept), "?")) }
