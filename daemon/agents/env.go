package agents

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"iris/config"
	"iris/ipc"
	"iris/pool/procs"
)

// ShellTimeout bounds the run of the login shell. Tests change it.
var ShellTimeout = 2 * time.Second

// headStart delays the login shell at the start of a daemon, so that it does not compete for
// the processors with the daemon and the command that waits for it.
const headStart = 20 * time.Millisecond

// fallbackPath is the search path if the login shell fails.
const fallbackPath = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

// allowed names the variables that every agent gets from the base environment;
// a trailing * stands for any ending.
var allowed = []string{
	"HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "PATH",
	"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"SSH_AUTH_SOCK", "ANTHROPIC_*", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_USE_*",
}

// An Environment is the base of the agents' environments. If a client or systemd started
// the daemon, it is the environment of the login shell: agents then get the variables of the
// profile and do not depend on the first client. If a person started the daemon, it is the
// daemon's own environment.
type Environment struct {
	fromShell bool
	reaper    *procs.Reaper
	wg        *sync.WaitGroup // the daemon's; waits for the shell

	base    atomic.Pointer[func() baseEnv]
	problem atomic.Pointer[string] // why the login shell failed, nil if it did not
}

// baseEnv is a base environment and a name for its source.
type baseEnv struct {
	vars   map[string]string
	source string
}

// newEnvironment returns an Environment. If fromShell is set, it asks the login shell on a
// goroutine in wg; r, which may be nil, runs the shell.
func newEnvironment(fromShell bool, r *procs.Reaper, wg *sync.WaitGroup) *Environment {
	e := &Environment{fromShell: fromShell, reaper: r, wg: wg}
	e.Refresh()
	return e
}

// Refresh asks the login shell again in the background. A caller that needs the answer
// earlier asks it at once, or waits for it; the shell runs once.
func (e *Environment) Refresh() {
	if !e.fromShell {
		own := baseEnv{toMap(os.Environ()), "the daemon's environment"}
		f := func() baseEnv { return own }
		e.base.Store(&f)
		return
	}
	f := sync.OnceValue(e.login)
	e.base.Store(&f)
	e.wg.Go(func() {
		time.Sleep(headStart)
		f()
	})
}

// login asks the login shell. If the shell fails or takes too long, it returns the identity
// with a plain search path, and sets a warning.
func (e *Environment) login() baseEnv {
	env := identity()
	got, err := loginEnv(env, e.reaper)
	if err != nil {
		why := fmt.Sprintf("agents have a plain PATH and no variables of your profile: the login shell %s: %v", env["SHELL"], err)
		e.problem.Store(&why)
		return baseEnv{env, "a guess (the login shell failed)"}
	}
	e.problem.Store(nil)
	return baseEnv{got, "the login shell"}
}

// FromShell reports whether the base is that of the login shell.
func (e *Environment) FromShell() bool { return e.fromShell }

// Base waits for the login shell and returns a copy of the base.
func (e *Environment) Base() map[string]string { return maps.Clone((*e.base.Load())().vars) }

// Warnings lists the problems of the base environment.
func (e *Environment) Warnings() []string {
	if why := e.problem.Load(); why != nil {
		return []string{*why}
	}
	return nil
}

// loginEnv runs the user's login shell with the environment env, and returns the
// environment that the shell makes of it.
func loginEnv(env map[string]string, r *procs.Reaper) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), ShellTimeout)
	defer cancel()
	const mark = "iris-environment"
	cmd := exec.CommandContext(ctx, env["SHELL"], "-lc", "printf '%s\\0' "+mark+"; env -0 && printf '%s\\0' "+mark)
	cmd.Env = toList(env)
	cmd.Dir = cmp.Or(env["HOME"], "/")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = ShellTimeout / 5 // a background process of the profile may keep its output open
	var out bytes.Buffer
	cmd.Stdout = &out
	err := r.Run(cmd)
	_, vars, _ := bytes.Cut(out.Bytes(), []byte(mark+"\x00"))
	vars, _, whole := bytes.Cut(vars, []byte("\x00"+mark+"\x00"))
	switch {
	case whole:
	case ctx.Err() != nil:
		return nil, fmt.Errorf("no answer within %v", ShellTimeout)
	case err != nil:
		return nil, err
	default:
		return nil, errors.New("it does not run commands")
	}
	got := toMap(strings.Split(string(vars), "\x00"))
	// The profile does not decide which daemon this is.
	for _, name := range []string{"HOME", "USER", "LOGNAME", "SHELL"} {
		got[name] = env[name]
	}
	if got["PATH"] == "" {
		got["PATH"] = fallbackPath
	}
	return got, nil
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

// passwdShell returns the user's shell from /etc/passwd, empty if it allows no login.
func passwdShell() string {
	data, err := os.ReadFile("/etc/passwd")
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

// Build returns the environment of a team's agents, sorted by name, each variable with its
// source. Supervisor.agentOptions adds the mark of the agent, and package claude the
// variables that the program itself needs.
func (e *Environment) Build(t *config.Team, socket string) ([]ipc.EnvVar, error) {
	vars := map[string]ipc.EnvVar{}
	set := func(name, value, source string) { vars[name] = ipc.EnvVar{Name: name, Value: value, Source: source} }
	base := (*e.base.Load())()
	for name, value := range base.vars {
		if matches(allowed, name) || matches(t.PassEnv, name) {
			set(name, value, base.source)
		}
	}
	set("IRIS_SOCKET", socket, "iris")
	if t.EnvFile != "" {
		file, err := config.ReadEnvFile(t.EnvFile)
		if err != nil {
			return nil, err
		}
		for name, value := range file {
			set(name, value, t.EnvFile)
		}
	}
	for name, value := range t.Env {
		set(name, value, "env in the configuration")
	}
	list := slices.Collect(maps.Values(vars))
	slices.SortFunc(list, func(a, b ipc.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// matches reports whether one of the patterns matches name.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		prefix, star := strings.CutSuffix(p, "*")
		return p == name || star && strings.HasPrefix(name, prefix)
	})
}

// mask hides all but the ends of a value whose name says that it is a secret.
func mask(v ipc.EnvVar) ipc.EnvVar {
	name := strings.ToUpper(v.Name)
	secret := slices.ContainsFunc([]string{"KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "AUTH_HEADER", "CUSTOM_HEADERS"}, func(w string) bool {
		return strings.Contains(name, w)
	})
	proxy := strings.Contains(name, "PROXY") && strings.Contains(v.Value, "@")
	switch {
	case proxy:
		v.Value = "****"
	case !secret || v.Value == "":
	case len(v.Value) < 24:
		v.Value = "****"
	default:
		v.Value = v.Value[:4] + "****" + v.Value[len(v.Value)-4:]
	}
	return v
}

func toMap(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, kv := range env {
		if name, value, ok := strings.Cut(kv, "="); ok && name != "" {
			m[name] = value
		}
	}
	return m
}

func toList(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	return list
}

// Assignments returns an environment in the form NAME=value.
func Assignments(vars []ipc.EnvVar) []string {
	env := make([]string, 0, len(vars))
	for _, v := range vars {
		env = append(env, v.Name+"="+v.Value)
	}
	return env
}
