package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"

	"iris/config/sys"
)

// TeamOptions are the optional parts of AddTeam.
type TeamOptions struct {
	Description string
	Command     string // the program, as an absolute path; empty for the one of the configuration
	MCP         bool   // its agents may write to other teams
	Force       bool   // replace a drop-in of AddTeam, or the built-in team

	// Before, if it is not nil, gets the configuration as it is, before anything is
	// written, and returns Command. Its error ends AddTeam.
	Before func(*Config) (command string, err error)
}

// AddTeam writes a drop-in with one team and returns its file. The directory must
// exist; a relative one counts from the working directory. The file is written
// completely or not at all, and the configuration with it loads: one that has a problem
// is left as it is. AddTeam never replaces a team in another file, or a drop-in to which
// a person has added anything.
func AddTeam(p Paths, name, dir string, opts TeamOptions) (file string, err error) {
	if err := CheckName("team", name); err != nil {
		return "", err
	}
	dir, err = teamDir(name, dir)
	if err != nil {
		return "", err
	}
	if !plain(opts.Description) {
		return "", fmt.Errorf("description %q: must be one line without control characters", opts.Description)
	}
	file = p.dropin(name)
	cfg, sources, err := loadFor(p, name, opts.Force)
	if err == nil && opts.Before != nil {
		opts.Command, err = opts.Before(cfg)
	}
	if err != nil {
		return "", err
	}
	if !plain(opts.Command) {
		return "", fmt.Errorf("command %q: must be UTF-8 without control characters", opts.Command)
	}
	defer p.alone()()
	if changed(p, sources) {
		if cfg, sources, err = loadFor(p, name, opts.Force); err != nil {
			return "", err
		}
	}
	if err := cfg.mayAdd(name, file, sources, opts.Force); err != nil {
		return "", err
	}
	data := teamTOML(name, dir, opts)
	if err := cfg.mayHave(source{file, true, data}); err != nil {
		return "", err
	}
	return file, writeDropin(file, data, opts.Force)
}

// loadFor loads the configuration, to which a team is to be added. An error is rather
// about the drop-in of that name.
func loadFor(p Paths, name string, force bool) (*Config, []source, error) {
	cfg, sources, err := load(p, nil)
	if err != nil {
		if own := mayReplace(name, p.dropin(name), sources, force); own != nil {
			err = own
		}
	}
	return cfg, sources, err
}

// changed reports whether somebody has changed the files since they were read.
func changed(p Paths, sources []source) bool {
	now, problems := readSources(p)
	same := func(a, b source) bool { return a.path == b.path && bytes.Equal(a.data, b.data) }
	return len(problems) > 0 || !slices.EqualFunc(sources, now, same)
}

// plain reports whether a file of the configuration may have the text.
func plain(text string) bool { return utf8.ValidString(text) && unprintable(text) == "" }

// RemoveTeam removes a team's drop-in and returns its path. The configuration may
// have problems elsewhere, but the drop-in must contain this team and nothing else.
func RemoveTeam(p Paths, name string) (file string, err error) {
	if err := CheckName("team", name); err != nil {
		return "", err
	}
	file = p.dropin(name)
	defer p.alone()()
	data, err := readTrusted(file, false)
	if errors.Is(err, fs.ErrNotExist) {
		return "", elsewhere(p, name)
	}
	if err == nil {
		err = ownDropin(file, name, data)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	if err := os.Remove(file); err != nil {
		return "", fmt.Errorf("remove team %q: %w", name, err)
	}
	return file, sys.SyncDir(p.Confd)
}

func (p Paths) dropin(name string) string { return filepath.Join(p.Confd, name+".toml") }

// teamDir makes dir absolute and checks that a team may have it.
func teamDir(name, dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	switch {
	case err != nil:
		return "", fmt.Errorf("directory %q: %w", dir, err)
	case dir == "":
		return "", errors.New("directory is empty; name the project's directory")
	case !utf8.ValidString(abs):
		return "", fmt.Errorf("directory %q is not UTF-8, which the configuration needs; link to it by another name", abs)
	}
	if bad := unprintable(abs); bad != "" {
		return "", fmt.Errorf("directory %q holds %s, which iris does not accept in names; link to it by another name", abs, bad)
	}
	return abs, (&Team{Name: name, Dir: abs}).CheckDir()
}

// mayAdd refuses a team that exists, unless its drop-in may be replaced.
func (c *Config) mayAdd(name, file string, sources []source, force bool) error {
	if t := c.Teams[name]; t != nil {
		switch {
		case t.File != file && t.File != "":
			return fmt.Errorf("team %q is already defined at %s:%d; edit it there", name, t.File, t.Line)
		case t.File == "" && !force:
			return fmt.Errorf("team %q is built in; take its name with --force", name)
		case !force:
			return fmt.Errorf("team %q already exists with directory %s; replace it with --force, or remove it first", name, t.Dir)
		}
	}
	return mayReplace(name, file, sources, force)
}

// mayReplace refuses to replace a file, unless it is an untouched drop-in.
func mayReplace(name, file string, sources []source, force bool) error {
	i := slices.IndexFunc(sources, func(s source) bool { return s.path == file })
	if i < 0 {
		return nil
	}
	if !force {
		return fmt.Errorf("team %q: %s already exists; replace it with --force", name, file)
	}
	if err := untouched(file, name, sources[i].data); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// untouched says how a file differs from the output of AddTeam, except for the
// values: the additions of a person would be lost.
func untouched(file, name string, data []byte) error {
	if err := ownDropin(file, name, data); err != nil {
		return err
	}
	root, _, _ := parseTOML(file, data)
	have := func(key string) value {
		if v := root.table["teams"].table[name].table[key]; v != nil {
			return *v
		}
		return value{}
	}
	same := TeamOptions{Description: have("description").str, Command: have("command").str, MCP: have("mcp").flag}
	if !bytes.Equal(data, teamTOML(name, have("dir").str, same)) {
		return errors.New(`holds more than "iris team add" has written, which would be lost; change it with "iris team edit"`)
	}
	return nil
}

// ownDropin says why a file is not a drop-in with this team alone.
func ownDropin(file, name string, data []byte) error {
	root, _, problems := parseTOML(file, data)
	if len(problems) > 0 {
		return fmt.Errorf("is not valid, so what else it holds is not known; fix or remove it yourself:\n%w", problems)
	}
	teams := root.table["teams"]
	if len(root.keys) != 1 || teams == nil || teams.kind != unstable.Table || len(teams.keys) != 1 || teams.keys[0] != name {
		return fmt.Errorf("holds more or other things than team %q; edit it yourself", name)
	}
	return nil
}

// mayHave returns the problems of a drop-in that is not among the files of c, and whose
// teams are not in other files.
func (c *Config) mayHave(s source) error {
	l := newLoader(&Config{Settings: c.Settings, Teams: map[string]*Team{}, origin: c.origin}, c.paths.Home)
	l.read(s)
	l.readTeams()
	if ps := append(l.problems, checkDirs(c.paths, []source{s})...); len(ps) > 0 {
		return ps
	}
	return nil
}

// tryWith loads the configuration with one file added or replaced.
func tryWith(p Paths, file source, sources []source, problems Problems) (*Config, error) {
	i := slices.IndexFunc(sources, func(s source) bool { return s.path == file.path })
	if i >= 0 {
		sources = slices.Delete(slices.Clone(sources), i, i+1)
	}
	sources = append(slices.Clip(sources), file)
	return build(p, sources, append(problems, checkDirs(p, sources)...), nil)
}

// elsewhere says why a team has no drop-in.
func elsewhere(p Paths, name string) error {
	cfg, err := Load(p)
	if err != nil {
		return err
	}
	t, err := cfg.Lookup(name)
	switch {
	case err != nil:
		return err
	case t.File == "":
		return fmt.Errorf("team %q is built in and cannot be removed", name)
	}
	return fmt.Errorf("team %q is defined at %s:%d; remove it there", name, t.File, t.Line)
}

func teamTOML(name, dir string, opts TeamOptions) []byte {
	s := fmt.Sprintf("[teams.%s]\ndir = %s\n", tomlKey(name), tomlString(dir))
	if opts.Description != "" {
		s += fmt.Sprintf("description = %s\n", tomlString(opts.Description))
	}
	if opts.Command != "" {
		s += fmt.Sprintf("command = %s\n", tomlString(opts.Command))
	}
	if opts.MCP {
		s += "mcp = true\n"
	}
	return []byte(s)
}

// writeDropin writes a file completely or not at all. Without replace, only one of
// two writers of the same name succeeds.
func writeDropin(file string, data []byte, replace bool) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create directory %s: %w", dir, sys.Cause(err))
	}
	err := sys.WriteFile(file, data, 0o600, replace)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s has just been written by somebody else", file)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, sys.Cause(err))
	}
	return nil
}
