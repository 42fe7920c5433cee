package agents

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"iris/ipc"
	"iris/pool/procs"
)

// shellLimit ends a login shell that does not answer. outputDelay is how long the output of
// a shell that has ended may stay open: a daemon of the profile may keep it.
const (
	shellLimit  = time.Minute
	outputDelay = 400 * time.Millisecond
)

// fallbackPath is the search path before the login shell sets one, and if it fails.
const fallbackPath = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

// Text around the environment in the shell's output: a profile may print, too.
const (
	envMark   = "iris-environment"
	envScript = "printf '%s\\0' " + envMark + "; command env -0 && printf '%s\\0' " + envMark
)

// A loginShell runs the user's login shell, which reads the user's profile.
type loginShell struct {
	path        string
	interactive bool // also read what the shell reads only at a terminal, such as ~/.bashrc
	reaper      *procs.Reaper
}

// String is how a person would run the shell.
func (s loginShell) String() string {
	if s.interactive {
		return s.path + " -lic"
	}
	return s.path + " -lc"
}

// args returns the arguments that make the shell run the script. A login bash does not read
// ~/.bashrc by itself, an interactive one below it does.
func (s loginShell) args() []string {
	switch {
	case !s.interactive:
		return []string{"-lc", envScript}
	case filepath.Base(s.path) == "bash":
		return []string{"-lic", `exec "$0" -ic "$1"`, s.path, envScript}
	}
	return []string{"-lic", envScript}
}

// run starts the shell with the identity env, in a session of its own, without a terminal,
// and returns the environment that it makes. What the profile leaves running in that session
// ends with the shell: each start of the daemon would add one. The error is one line: how the shell ended and
// what it printed last on stderr.
func (s loginShell) run(ctx context.Context, env map[string]string) (map[string]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, shellLimit, fmt.Errorf("no answer within %v", shellLimit))
	defer cancel()
	cmd := exec.CommandContext(ctx, s.path, s.args()...)
	cmd.Env = append(toList(env), "TERM=dumb")
	cmd.Dir = cmp.Or(env["HOME"], "/")
	cmd.WaitDelay = outputDelay
	var stdout, stderr tail
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := s.reaper.RunSession(cmd)
	_, vars, _ := bytes.Cut(stdout.kept, []byte(envMark+"\x00"))
	vars, _, whole := bytes.Cut(vars, []byte("\x00"+envMark+"\x00"))
	if !whole {
		return nil, s.cause(ctx, cmd, err, stderr.kept)
	}
	got := toMap(strings.Split(string(vars), "\x00"))
	// The profile does not decide which daemon this is.
	for _, name := range []string{"HOME", "USER", "LOGNAME", "SHELL"} {
		got[name] = env[name]
	}
	got["PATH"] = cmp.Or(got["PATH"], fallbackPath)
	return got, nil
}

// cause says why a shell has not printed its environment.
func (s loginShell) cause(ctx context.Context, cmd *exec.Cmd, err error, stderr []byte) error {
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case cmd.ProcessState != nil:
		err = fmt.Errorf("it did not run the command (%s)", cmd.ProcessState)
	}
	if said := lastWords(stderr); said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return err
}

// withoutTerminal are complaints of every interactive shell that has no terminal.
var withoutTerminal = []string{"cannot set terminal process group", "no job control in this shell", "can't set tty pgrp", "can't change option: "}

// lastWords is the last line of a shell's stderr that is about the profile.
func lastWords(stderr []byte) string {
	for _, line := range slices.Backward(strings.Split(string(stderr), "\n")) {
		line = strings.Join(strings.Fields(line), " ")
		if line != "" && !slices.ContainsFunc(withoutTerminal, func(w string) bool { return strings.Contains(line, w) }) {
			return ipc.Clip(line, 300)
		}
	}
	return ""
}

// tail keeps the last bytes that were written to it: a profile may write without end.
type tail struct{ kept []byte }

const mostKept = 1 << 20

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - mostKept; over > 0 {
		t.kept = slices.Delete(t.kept, 0, over)
	}
	return len(p), nil
}

// identity returns the variables that name the user and the user's directories. HOME and
// XDG_* are the daemon's, since they decide which daemon this is.
func identity() map[string]string {
	env := map[string]string{"PATH": fallbackPath, "SHELL": "/bin/sh"}
	if u, err := user.Current(); err == nil {
		env["USER"], env["LOGNAME"], env["HOME"] = u.Username, u.Username, u.HomeDir
	}
	if shell := passwdShell(); shell != "" {
		env["SHELL"] = shell
	}
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if value != "" && (name == "HOME" || strings.HasPrefix(name, "XDG_")) {
			env[name] = value
		}
	}
	return env
}

// passwd is the list of users.
var passwd = "/etc/passwd"

// passwdShell returns the user's shell from /etc/passwd, empty if it allows no login.
func passwdShell() string {
	data, err := os.ReadFile(passwd)
	if err != nil {
		return ""
	}
	uid := fmt.Sprint(os.Getuid())
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) == 7 && f[2] == uid && !strings.HasSuffix(f[6], "nologin") && !strings.HasSuffix(f[6], "/false") {
			return f[6]
		}
	}
	return ""
}
