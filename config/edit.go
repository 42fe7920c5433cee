package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"iris/config/sys"
)

// Set writes one setting of the top level, or of a team, into the file where it
// belongs, and returns the path of the file. A value is written as in the
// environment, without quotes; that of a list has several words, or is one word in
// the form of TOML, or one empty word for an empty list. The rest of the file stays as
// it is. Nothing is written unless the whole configuration is valid, with the setting
// too, and the setting gives Check nothing new to report.
func Set(p Paths, team, name string, words []string) (file string, err error) {
	defer p.alone()()
	cfg, sources, err := load(p, nil)
	if err != nil {
		return "", err
	}
	file, table := p.Config, []string(nil)
	if team != "" {
		t, err := cfg.ownTeam(team)
		if err != nil {
			return "", err
		}
		file, table = t.File, []string{"teams", team}
	}
	k, err := settable(name, team)
	if err != nil {
		return "", err
	}
	value, err := k.toml(words)
	if err != nil {
		return "", err
	}
	old := dataOf(sources, file)
	data, err := parseText(old).set(table, name, value)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	now, err := tryWith(p, source{file, file != p.Config, data}, sources, nil)
	if err != nil {
		return "", err
	}
	if found := newProblems(cfg.Check(), now.Check()); len(found) > 0 {
		return "", found
	}
	return file, p.change(file, old, data)
}

// newProblems returns the problems that were not there before. A change moves the lines
// of others.
func newProblems(before, now Problems) Problems {
	for _, old := range before {
		same := func(p Problem) bool { return p.File == old.File && p.Msg == old.Msg }
		if i := slices.IndexFunc(now, same); i >= 0 {
			now = slices.Delete(now, i, i+1)
		}
	}
	return now
}

// settable returns the key of that name, if it may stand in a team or at the top.
func settable(name, of string) (*key, error) {
	where, not := top, team
	if of != "" {
		where, not = team, top
	}
	table, _, _ := strings.Cut(name, ".")
	switch k := keyNamed(name); {
	case k == nil && table != name && keyNamed(table) != nil && keyNamed(table).table():
		return nil, keyNamed(table).notWhole()
	case k == nil:
		return nil, errors.New(unknownKey(name, keyNames(where), ""))
	case k.where != not:
		return k, nil
	case not == top:
		return nil, fmt.Errorf("%s is no setting of a team; set it without one", name)
	}
	return nil, fmt.Errorf("%s is a setting of a team; name the team", name)
}

// notWhole is the error for a part of a table: it is set as a whole.
func (k *key) notWhole() error {
	form := `{ NAME = "value" }`
	if k.kind == kindBudget {
		form = "{ day = 20 }"
	}
	return fmt.Errorf("%s is a table; write it as one word, such as '%s', or use \"iris config edit\"", k.name, form)
}

// toml writes a value of the key. A wrong value is written all the same: loading it
// finds what is wrong with it.
func (k *key) toml(words []string) (string, error) {
	for _, w := range words {
		if bad := unprintable(w); bad != "" {
			return "", fmt.Errorf("%s holds %s, which is not allowed here", k.name, bad)
		}
	}
	one := strings.Join(words, " ")
	switch {
	case k.table() && (len(words) != 1 || !strings.HasPrefix(one, "{")):
		return "", k.notWhole()
	case k.table(), k.list() && len(words) == 1 && strings.HasPrefix(one, "["):
		return one, nil
	case k.list() && one == "":
		return "[]", nil
	case k.list():
		return k.format(slices.Clone(words)), nil
	case len(words) != 1:
		return "", fmt.Errorf("%s has one value, and there are %d; put quotes around it", k.name, len(words))
	}
	if _, err := strconv.ParseInt(one, 10, 64); err == nil && k.kind == kindInt || k.kind == kindBool && slices.Contains(k.choices(), one) {
		return one, nil
	}
	if f, err := strconv.ParseFloat(one, 64); err == nil && k.kind == kindPart {
		return k.format(f), nil
	}
	return tomlString(one), nil
}

// RenameTeam gives a team another name in its file, and a drop-in of AddTeam the file
// name that belongs to it. It returns the path of the file. The rest of the file
// stays as it is.
func RenameTeam(p Paths, name, to string) (file string, err error) {
	defer p.alone()()
	cfg, sources, err := load(p, nil)
	if err != nil {
		return "", err
	}
	if err := cfg.MayRename(name, to); err != nil {
		return "", err
	}
	t := cfg.Teams[name]
	old := dataOf(sources, t.File)
	data, err := parseText(old).rename(name, to)
	if err != nil {
		return "", fmt.Errorf("%s: %w", t.File, err)
	}
	if t.File != p.dropin(name) || ownDropin(t.File, name, old) != nil {
		if _, err := tryWith(p, source{t.File, t.File != p.Config, data}, sources, nil); err != nil {
			return "", err
		}
		return t.File, p.change(t.File, old, data)
	}
	rest := slices.DeleteFunc(slices.Clone(sources), func(s source) bool { return s.path == t.File })
	if _, err := tryWith(p, source{p.dropin(to), true, data}, rest, nil); err != nil {
		return "", err
	}
	return p.dropin(to), p.renameDropin(name, to, old, data)
}

// renameDropin gives a drop-in with the old data the name and the data of another team.
// At every moment there is one team. If iris is killed in between, the file has its new
// name and the team its old one, and RenameTeam can be called again.
func (p Paths) renameDropin(name, to string, old, data []byte) error {
	if err := p.moveDropin(name, to); err != nil {
		return err
	}
	err := p.change(p.dropin(to), old, data)
	if err != nil {
		p.moveDropin(to, name)
	}
	return err
}

// moveDropin gives a drop-in the file name of another team.
func (p Paths) moveDropin(name, to string) error {
	if _, err := os.Lstat(p.dropin(to)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s already exists; remove it, or take another name", p.dropin(to))
	}
	if err := os.Rename(p.dropin(name), p.dropin(to)); err != nil {
		return fmt.Errorf("rename the file of team %q: %w", name, sys.Cause(err))
	}
	return sys.SyncDir(p.Confd)
}

// MayRename says why a team cannot get another name.
func (c *Config) MayRename(name, to string) error {
	if _, err := c.ownTeam(name); err != nil {
		return err
	}
	if err := CheckName("team", to); err != nil {
		return err
	}
	if t := c.Teams[to]; t != nil {
		return fmt.Errorf("team %q already exists with directory %s", to, t.Dir)
	}
	return nil
}

// FileOf returns the file of a team's settings. If the configuration cannot be read,
// it is the drop-in of that name.
func FileOf(p Paths, team string) (string, error) {
	cfg, err := Load(p)
	if err != nil {
		if CheckName("team", team) == nil {
			if _, is := os.Stat(p.dropin(team)); is == nil {
				return p.dropin(team), nil
			}
		}
		return "", err
	}
	t, err := cfg.ownTeam(team)
	if err != nil {
		return "", err
	}
	return t.File, nil
}

// ownTeam returns a team that a file defines.
func (c *Config) ownTeam(name string) (*Team, error) {
	t, ok := c.Teams[name]
	switch {
	case !ok:
		_, err := c.Lookup(name)
		if err == nil {
			err = fmt.Errorf("directory %s has no settings of its own; \"iris team add NAME DIR\" makes it a team", name)
		}
		return nil, err
	case t.File == "":
		return nil, fmt.Errorf("team %q is built in and has no settings in a file", name)
	}
	return t, nil
}

// dataOf returns what a file holds; nil if it does not exist.
func dataOf(sources []source, file string) []byte {
	if i := slices.IndexFunc(sources, func(s source) bool { return s.path == file }); i >= 0 {
		return sources[i].data
	}
	return nil
}

// alone keeps other changes by iris away until the function is called that it returns:
// each is made to what the one before has left. Without the directory there is nothing
// yet that a change could undo.
func (p Paths) alone() (done func()) {
	dir, err := os.Open(filepath.Dir(p.Config))
	if err != nil {
		return func() {}
	}
	sys.Lock(dir) // where that is not possible, change still finds most of what would be lost
	return func() { dir.Close() }
}

// change replaces a file of the configuration that has not changed since it was read. A
// link stays a link.
func (p Paths) change(file string, old, data []byte) error {
	if file == os.DevNull {
		return fmt.Errorf("%s is no configuration file to write to", file)
	}
	mode := fs.FileMode(0o600)
	target, err := filepath.EvalSymlinks(file)
	if errors.Is(err, fs.ErrNotExist) {
		return writeDropin(file, data, false)
	}
	var fi fs.FileInfo
	if err == nil {
		fi, err = os.Stat(target)
	}
	if err == nil {
		mode = fi.Mode().Perm()
		var now []byte
		if now, err = os.ReadFile(target); err == nil && !bytes.Equal(now, old) {
			return fmt.Errorf("%s has just been changed by somebody else; try again", file)
		}
	}
	if err == nil {
		err = sys.WriteFile(target, data, mode, true)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, sys.Cause(err))
	}
	return nil
}
