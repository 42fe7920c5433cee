package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2/unstable"

	"iris/config/sys"
)

// Override is a setting from outside the files, usually from a flag. Source is its
// name in messages, such as "--max-processes".
type Override struct {
	Key    string
	Value  string // in the form of an environment variable, without quotes
	Source string
}

// Load reads the configuration: the files, then the environment, then the overrides.
// The error is of type Problems.
func Load(p Paths, overrides ...Override) (*Config, error) {
	cfg, _, err := load(p, slices.Concat(fromEnviron(), overrides))
	return cfg, err
}

// load is Load that also returns the files, without the environment.
func load(p Paths, overrides []Override) (*Config, []source, error) {
	sources, problems := readSources(p)
	cfg, err := build(p, sources, append(problems, checkDirs(p, sources)...), overrides)
	return cfg, sources, err
}

// source is one file of the configuration.
type source struct {
	path   string
	dropin bool
	data   []byte
}

// files returns the paths of config.toml and of the drop-ins, sorted by name; the
// error is about the directory of the drop-ins.
func (p Paths) files() ([]string, error) {
	paths := []string{p.Config}
	entries, err := os.ReadDir(p.Confd)
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".toml") && name[0] != '.' {
			paths = append(paths, filepath.Join(p.Confd, name))
		}
	}
	return paths, err
}

// readSources reads the files. It skips missing files.
func readSources(p Paths) ([]source, Problems) {
	var sources []source
	var problems Problems
	paths, err := p.files()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problems = append(problems, Problem{File: p.Confd, Msg: sys.Cause(err).Error()})
	}
	for i, path := range paths {
		if path == os.DevNull {
			continue
		}
		data, err := readTrusted(path, false)
		switch {
		case err == nil:
			sources = append(sources, source{path: path, dropin: i > 0, data: data})
		case i > 0:
			problems = append(problems, Problem{File: path, Msg: err.Error()})
		default:
			problems = append(problems, p.readProblem(err)...)
		}
	}
	return sources, problems
}

// checkDirs checks the directories of the files that are read: anybody who may write
// to them may replace the files.
func checkDirs(p Paths, sources []source) Problems {
	dirs := []string{filepath.Dir(p.Config)}
	if slices.ContainsFunc(sources, func(s source) bool { return s.dropin }) {
		dirs = append(dirs, p.Confd)
	}
	if len(sources) == 0 {
		return nil
	}
	var ps Problems
	for _, dir := range dirs {
		fi, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // does not exist yet
		}
		if err == nil {
			err = checkTrust(dir, fi, false)
		}
		if err != nil {
			ps = append(ps, Problem{File: dir, Msg: sys.Cause(err).Error()})
		}
	}
	return ps
}

// fromEnviron returns the settings of the environment, in the order of the table.
func fromEnviron() []Override {
	var out []Override
	for i := range keys {
		if name := keys[i].env(); name != "" {
			if s := os.Getenv(name); s != "" {
				out = append(out, Override{keys[i].name, s, name})
			}
		}
	}
	return out
}

// loader is the state of one Load.
type loader struct {
	cfg      *Config
	home     string
	pending  []pendingTeam
	index    map[string]int // index in pending, by team
	problems Problems
}

// pendingTeam is a team whose settings are not read yet: they need the top-level
// settings, which may be in a later file.
type pendingTeam struct {
	name    string
	file    string
	at      *value
	partial bool // keys may be missing because of a syntax error, or stand in another file
}

// build makes the configuration from the files. It reads no file itself, so that
// AddTeam can try a file that does not exist yet.
func build(p Paths, sources []source, problems Problems, overrides []Override) (*Config, error) {
	l := newLoader(&Config{paths: p, Teams: map[string]*Team{}}, p.Home)
	l.problems = problems
	l.defaults()
	for _, s := range sources {
		l.read(s)
	}
	for _, o := range overrides {
		l.override(o)
	}
	l.readTeams()
	l.builtIn()
	if len(l.problems) > 0 {
		l.problems.sort(l.cfg.Files)
		return nil, l.problems
	}
	return l.cfg, nil
}

func newLoader(cfg *Config, home string) *loader {
	return &loader{cfg: cfg, home: home, index: map[string]int{}}
}

// read reads the top-level settings of a file and finds its teams.
func (l *loader) read(s source) {
	l.cfg.Files = append(l.cfg.Files, s.path)
	root, partial, bad := parseTOML(s.path, s.data)
	l.problems = append(l.problems, bad...)
	l.topLevel(s, root, partial)
}

// readTeams reads the settings of the teams that were found.
func (l *loader) readTeams() {
	for _, d := range l.pending {
		l.team(d)
	}
}

// report returns a function that records problems in a file.
func (l *loader) report(file string) func(position, string) {
	return func(at position, msg string) {
		l.problems = append(l.problems, Problem{file, at.line, at.col, msg})
	}
}

// defaults sets every key with a default.
func (l *loader) defaults() {
	for i := range keys {
		k := &keys[i]
		if k.def == "" || k.where == team {
			continue
		}
		assign(l.cfg, k.name, k.read(k.defaultValue(), l.home, func(_ position, msg string) { panic("bug: default of " + msg) }))
	}
}

func (l *loader) topLevel(s source, root *value, partial bool) {
	report := l.report(s.path)
	for _, name := range root.keys {
		v := root.table[name]
		k := keyNamed(name)
		switch {
		case name == "teams":
			l.teams(s, v, partial)
		case k == nil:
			report(v.keyAt, unknownKey(name, append(keyNames(top), "teams"), ""))
		case k.where == team:
			report(v.keyAt, fmt.Sprintf("%q belongs in a [teams.NAME] table", name))
		case s.dropin:
			report(v.keyAt, fmt.Sprintf("%q belongs in config.toml; a file in conf.d holds [teams.NAME] tables only", name))
		default:
			l.set(l.cfg, k, v, s.path, &l.cfg.origin)
		}
	}
}

// set reads a value into the field of its key and records its origin.
func (l *loader) set(into any, k *key, v *value, file string, from *origins) {
	if x := k.read(v, l.home, l.report(file)); x != nil {
		assign(into, k.name, x)
		from.set(k.name, origin{file: file, pos: v.pos})
	}
}

func (l *loader) override(o Override) {
	say := func(_ position, msg string) {
		_, rule, _ := strings.Cut(msg, ": ")
		shown := o.Value
		if unprintable(shown) != "" {
			shown = fmt.Sprintf("%q", shown)
		}
		l.problems = append(l.problems, Problem{Msg: fmt.Sprintf("%s=%s: %s", o.Source, shown, rule)})
	}
	k := keyNamed(o.Key)
	if k == nil || k.env() == "" {
		panic("bug: override of " + o.Key)
	}
	if x := k.read(k.textValue(o.Value), l.home, say); x != nil {
		assign(l.cfg, k.name, x)
		l.cfg.origin.set(k.name, origin{name: o.Source})
	}
}

// teams adds the teams of a file to pending and refuses those that exist already.
func (l *loader) teams(s source, v *value, partial bool) {
	report := l.report(s.path)
	if v.kind != unstable.Table {
		report(v.keyAt, `"teams" must be a table: write [teams.NAME]`)
		return
	}
	for _, name := range v.keys {
		d := pendingTeam{name, s.path, v.table[name], partial}
		if err := CheckName("team", name); err != nil {
			report(d.at.keyAt, err.Error())
			continue
		}
		if d.at.kind != unstable.Table {
			report(d.at.keyAt, fmt.Sprintf("team %q must be a table: write [teams.%s]", name, tomlKey(name)))
			continue
		}
		if i, ok := l.index[name]; ok {
			o := &l.pending[i]
			o.partial = true
			report(d.at.keyAt, fmt.Sprintf("team %q is already defined at %s:%d:%d; all of it must be in one file", name, o.file, o.at.keyAt.line, o.at.keyAt.col))
			continue
		}
		l.index[name] = len(l.pending)
		l.pending = append(l.pending, d)
	}
}

func (l *loader) team(d pendingTeam) {
	t := &Team{Name: d.name, Agent: agentClaude, Settings: l.cfg.Settings, File: d.file, Line: d.at.keyAt.line,
		origin: origins{{"", origin{file: d.file, pos: d.at.keyAt}}}}
	report := l.report(d.file)
	for _, name := range d.at.keys {
		v := d.at.table[name]
		k := keyNamed(name)
		switch {
		case k == nil:
			report(v.keyAt, unknownTeamKey(d.name, name, v))
		case k.where == top:
			report(v.keyAt, fmt.Sprintf("%q is no setting of a team; it belongs at the top of config.toml, before the first [table]", name))
		default:
			l.set(t, k, v, d.file, &t.origin)
		}
	}
	if _, ok := d.at.table["env"]; ok {
		env := maps.Clone(l.cfg.Env)
		if env == nil {
			env = map[string]string{}
		}
		maps.Copy(env, t.Env)
		t.Env = env
	}
	if _, ok := d.at.table["dir"]; !ok && !d.partial {
		report(d.at.keyAt, fmt.Sprintf("team %q has no directory; write dir = %q", d.name, filepath.Join("~", "src", d.name)))
	}
	l.checkAsking(t)
	l.setCommand(t, d.at.keyAt)
	l.cfg.Teams[d.name] = t
}

// setCommand settles which program a team has, and reports one that its agent cannot be.
func (l *loader) setCommand(t *Team, at position) {
	own, has := t.origin.of("command")
	args, hasArgs := t.origin.of("args")
	problem := func(o origin, format string, a ...any) {
		l.problems = append(l.problems, o.problem(fmt.Errorf(format, a...)))
	}
	switch {
	case t.Adapter() == "":
		if has && len(t.Command) > 1 {
			problem(own, "command: team %q has agent = %q: args has the arguments of Claude Code", t.Name, t.Agent)
		}
		return
	case hasArgs:
		problem(args, "args: team %q has agent = %q: write command = [\"PROGRAM\", \"ARGUMENT\", ...]", t.Name, t.Agent)
	case !has && t.Agent == agentACP:
		problem(origin{file: t.File, pos: at}, "team %q has agent = \"acp\" and no program; write command = [\"opencode\", \"acp\"], or another one", t.Name)
	case !has:
		t.Command = []string{agentCodex}
	}
	t.Args = nil
}

// builtIn adds the team that needs no configuration.
func (l *loader) builtIn() {
	if _, ok := l.cfg.Teams[agentEcho]; !ok {
		l.cfg.Teams[agentEcho] = &Team{Name: agentEcho, Agent: agentEcho, Dir: l.home,
			Description: "built in: repeats each message", Settings: l.cfg.Settings}
	}
}

func unknownKey(name string, allowed []string, where string) string {
	if name == "approval_notify" {
		return `"approval_notify"` + where + ` is now "notify": write notify in its place, with notify_on = ["approval"] beside it; the program gets an event on its standard input (iris-config(5))`
	}
	if n := nearest(name, allowed); n != "" {
		return fmt.Sprintf("unknown key %q%s; did you mean %q?", name, where, n)
	}
	return fmt.Sprintf("unknown key %q%s; iris-config(5) lists all keys", name, where)
}

func unknownTeamKey(of, name string, v *value) string {
	if v.kind == unstable.Table && v.table["dir"] != nil {
		return fmt.Sprintf("unknown key %q in team %q; a team named %q is written [teams.%s]", name, of, of+"."+name, tomlKey(of+"."+name))
	}
	return unknownKey(name, keyNames(team), fmt.Sprintf(" in team %q", of))
}

// assign sets the field of a Config or Team for that key.
func assign(into any, key string, x any) {
	if x != nil {
		field(into, key).Set(reflect.ValueOf(x))
	}
}

// field returns the field of a Config or Team for that key.
func field(of any, key string) reflect.Value {
	v := reflect.ValueOf(of).Elem()
	index := configFields
	if v.Type() == reflect.TypeFor[Team]() {
		index = teamFields
	}
	return v.FieldByIndex(index()[key])
}

var (
	configFields = sync.OnceValue(func() map[string][]int { return fieldIndex(reflect.TypeFor[Config]()) })
	teamFields   = sync.OnceValue(func() map[string][]int { return fieldIndex(reflect.TypeFor[Team]()) })
)

// fieldIndex maps keys to the fields of a struct.
func fieldIndex(t reflect.Type) map[string][]int {
	index := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		if key := f.Tag.Get("toml"); key != "" {
			index[key] = f.Index
		}
	}
	return index
}
