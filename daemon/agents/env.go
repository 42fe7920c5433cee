package agents

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"iris/config"
	"iris/ipc"
	"iris/pool/claude"
	"iris/pool/claude/variables"
	"iris/pool/procs"
)

// allowed names the variables that every agent gets from the base environment, beside those
// that configure Claude Code.
var allowed = []string{
	"HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "PATH",
	"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"SSH_AUTH_SOCK",
}

// ofShell names variables that a shell sets for itself. A pattern of pass_env does not pass
// them.
var ofShell = []string{"_", "SHLVL", "PWD", "OLDPWD", "TERM"}

// usualDirs are directories below HOME where Claude Code installs itself. They end the PATH
// of agents.
var usualDirs = []string{".local/bin", ".claude/local"}

// Sources of a base environment.
const (
	fromOwn         = "the daemon's environment"
	fromLogin       = "the login shell"
	fromInteractive = "the interactive login shell"
	fromGuess       = "a guess (the login shell failed)"
)

// An Environment is the base of the agents' environments. If a client or systemd started
// the daemon, it is the environment of the login shell: agents then get the variables of the
// profile and do not depend on the first client. If a person started the daemon, it is the
// daemon's own environment.
type Environment struct {
	own map[string]string // nil if the login shell decides

	shell       string
	login       *profile
	interactive *profile // asked if the program of a team is not found in the PATH of login
}

// A base is a base environment.
type base struct {
	vars   map[string]string
	source string
	guess  bool // a shell has not answered, so that a better one may come
}

// ownEnvironment returns the Environment of a daemon that a person has started.
func ownEnvironment() *Environment { return &Environment{own: toMap(os.Environ())} }

// shellEnvironment returns the Environment of a daemon in the background. It asks the login
// shell on a goroutine in wg; the end of ctx ends the shell. r, which may be nil, runs it.
func shellEnvironment(ctx context.Context, r *procs.Reaper, wg *sync.WaitGroup) *Environment {
	shell := identity()["SHELL"]
	ask := func(interactive bool) *profile {
		s := loginShell{shell, interactive, r}
		return &profile{shell: s.String(), ctx: ctx, wg: wg, run: func(ctx context.Context) (map[string]string, error) {
			return s.run(ctx, identity())
		}}
	}
	e := &Environment{shell: shell, login: ask(false), interactive: ask(true)}
	e.login.refresh(headStart)
	return e
}

// Refresh asks the login shell again in the background. A caller that needs the answer waits
// for it; the shell runs once.
func (e *Environment) Refresh() {
	if e.own != nil {
		return
	}
	e.login.refresh(0)
	if e.interactive.wanted() {
		e.interactive.refresh(0)
	}
}

// FromShell reports whether the base is that of the login shell.
func (e *Environment) FromShell() bool { return e.own == nil }

// Base returns a copy of the whole base environment, without the interactive shell.
func (e *Environment) Base() map[string]string {
	return e.base(context.Background(), &config.Team{}, "", false).vars
}

// Warnings lists the problems of the base environment, each with its remedy.
func (e *Environment) Warnings() []string {
	problems := e.problems()
	for i := range problems {
		problems[i] += "; run: iris daemon reload"
	}
	return problems
}

// problems lists the problems of the base environment, without their remedy.
func (e *Environment) problems() []string {
	if e.own != nil {
		return nil
	}
	var out []string
	if why := e.login.problem(); why != "" {
		what := "agents have a plain PATH and no variables of your profile"
		if e.login.answered() {
			what = "agents have the variables of your profile from before"
		}
		out = append(out, what+": "+why)
	}
	if why := e.interactive.problem(); why != "" {
		out = append(out, "agents miss what your profile sets for a terminal only: "+why)
	}
	return out
}

// examined says how the login shell has answered.
func (e *Environment) examined() ipc.LoginShell {
	if e.own != nil {
		return ipc.LoginShell{}
	}
	return ipc.LoginShell{Path: e.shell, Took: e.login.duration().Milliseconds(), Problems: e.problems()}
}

// base returns the base environment for the agents of a team, whose own PATH, if it has one,
// is path. For a start it asks a shell that has not answered.
func (e *Environment) base(ctx context.Context, t *config.Team, path string, start bool) base {
	if e.own != nil {
		return base{vars: maps.Clone(e.own), source: fromOwn}
	}
	b := base{vars: e.login.get(ctx, start), source: fromLogin}
	if b.vars == nil {
		return base{identity(), fromGuess, true}
	}
	if t.Agent == "echo" || strings.Contains(t.Program(), "/") || path != "" || finds(b.vars["PATH"], t.Program()) {
		return b
	}
	more := e.interactive.get(ctx, start)
	if finds(more["PATH"], t.Program()) {
		return base{vars: more, source: fromInteractive}
	}
	b.guess = more == nil
	return b
}

// finds reports whether a program is in one of the directories of a search path.
func finds(path, program string) bool {
	_, err := claude.Program(claude.Options{Command: program, Env: []string{"PATH=" + path}})
	return err == nil
}

// Build returns the environment of an agent of a team that starts now, sorted by name, each
// variable with its source. It may wait for the login shell, until ctx ends.
// Supervisor.agentOptions adds the mark of the agent, and package claude the variables that
// the program itself needs.
func (e *Environment) Build(ctx context.Context, t *config.Team, socket string) (*Built, error) {
	return e.build(ctx, t, socket, true)
}

// Known is Build without asking a shell that has failed.
func (e *Environment) Known(t *config.Team, socket string) (*Built, error) {
	return e.build(context.Background(), t, socket, false)
}

// Built is the environment of a team's agents.
type Built struct {
	Vars []ipc.EnvVar // sorted by name

	// Withheld names the variables of the base environment that agents do not get,
	// although Claude Code may need them to reach its model.
	Withheld []string

	base  base
	file  string // identifies the variables of the env_file
	given string // identifies the variables of the base environment
}

func (e *Environment) build(ctx context.Context, t *config.Team, socket string, start bool) (*Built, error) {
	var file map[string]string
	if t.EnvFile != "" {
		var err error
		if file, err = config.ReadEnvFile(t.EnvFile); err != nil {
			return nil, err
		}
	}
	own := func(name string) string { return cmp.Or(t.Env[name], file[name]) }
	base := e.base(ctx, t, own("PATH"), start)
	given, withheld := passed(t, base.vars, own)
	b := &Built{Withheld: withheld, base: base, file: digest(file), given: digest(given)}
	vars := map[string]ipc.EnvVar{}
	add := func(more map[string]string, source string) {
		for name, value := range more {
			vars[name] = ipc.EnvVar{Name: name, Value: value, Source: source}
		}
	}
	add(given, base.source)
	add(map[string]string{"IRIS_SOCKET": socket}, "iris")
	add(file, t.EnvFile)
	add(t.Env, fromConfig)
	b.Vars = slices.SortedFunc(maps.Values(vars), func(a, b ipc.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	return b, nil
}

// fromConfig is the source of the variables of the env table.
const fromConfig = "env in the configuration"

// passed returns the variables of the base environment that the agents of a team get, and
// the names of those that they do not get but may need. own returns the team's own values.
func passed(t *config.Team, vars map[string]string, own func(name string) string) (given map[string]string, withheld []string) {
	given = map[string]string{}
	for name, value := range vars {
		if always(name) || passes(t, name) {
			given[name] = value
		}
	}
	switched := variables.SwitchedOn(func(name string) string { return cmp.Or(own(name), given[name]) })
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		switch _, has := given[name]; {
		case has:
		case switched(name):
			given[name] = vars[name]
		case variables.IsCredential(name) && own(name) == "":
			withheld = append(withheld, name)
		}
	}
	given["PATH"] = withLastDirs(given["PATH"], vars["HOME"], t.Program())
	return given, withheld
}

// always reports whether the agents of every team get a variable.
func always(name string) bool {
	return variables.Match(allowed, name) || variables.IsSetting(name)
}

// passes reports whether pass_env of a team passes a variable. A pattern does not pass what
// belongs to one process.
func passes(t *config.Team, name string) bool {
	if slices.Contains(t.PassEnv, name) {
		return true
	}
	return variables.Match(t.PassEnv, name) && !variables.Match(ofShell, name) && !variables.OfOneProcess(name)
}

// withLastDirs adds directories to the end of a search path: that of a command given by its
// path, where its interpreter may be, too, and those where Claude Code installs itself.
func withLastDirs(path, home, command string) string {
	dirs := filepath.SplitList(path)
	add := func(dir string) {
		if filepath.IsAbs(dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	add(filepath.Dir(command))
	for _, dir := range usualDirs {
		add(filepath.Join(home, dir))
	}
	return strings.Join(dirs, string(filepath.ListSeparator))
}

// Has reports whether agents have a variable.
func (b *Built) Has(name string) bool {
	return slices.ContainsFunc(b.Vars, func(v ipc.EnvVar) bool { return v.Name == name })
}

// credentials names the variables by which agents may reach their model.
func (b *Built) credentials() (names []string) {
	for _, v := range b.Vars {
		if variables.IsCredential(v.Name) {
			names = append(names, v.Name)
		}
	}
	return names
}

// Assignments returns the environment in the form NAME=value.
func (b *Built) Assignments() []string {
	env := make([]string, 0, len(b.Vars))
	for _, v := range b.Vars {
		env = append(env, v.Name+"="+v.Value)
	}
	return env
}

// digest identifies variables without telling them.
func digest(vars map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(h, "%d %s %d %s", len(name), name, len(vars[name]), vars[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
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
