package config

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is one value of a configuration and its source.
type Setting struct {
	Key    string // such as "idle_timeout" or "teams.api.dir"
	Value  string // as written in TOML; of "env" the names only
	Source string // "default", "built in", "file:line", "IRIS_IDLE_TIMEOUT", "--idle-timeout"
}

// origin is the source of a value: a name, or a place in a file.
type origin struct {
	name string
	file string
	pos  position
}

// origins are the sources of the values that one place sets, which are few; each key
// occurs once.
type origins []struct {
	key string
	origin
}

// of returns the source of the value of a key, and whether the place sets it.
func (s origins) of(key string) (o origin, ok bool) {
	for i := range s {
		if s[i].key == key {
			return s[i].origin, true
		}
	}
	return origin{}, false
}

func (s *origins) set(key string, o origin) {
	for i := range *s {
		if (*s)[i].key == key {
			(*s)[i].origin = o
			return
		}
	}
	*s = append(*s, struct {
		key string
		origin
	}{key, o})
}

func (o origin) String() string {
	if o.name != "" {
		return o.name
	}
	return fmt.Sprintf("%s:%d", o.file, o.pos.line)
}

// Show returns all top-level settings, then the own settings of each team.
func (c *Config) Show() []Setting {
	var out []Setting
	for i := range keys {
		k := &keys[i]
		if k.where == team {
			continue
		}
		at, ok := c.origin.of(k.name)
		if !ok {
			at.name = "default"
		}
		out = append(out, Setting{k.name, k.format(field(c, k.name).Interface()), at.String()})
	}
	for _, name := range c.TeamNames() {
		out = append(out, c.Teams[name].show()...)
	}
	return out
}

func (t *Team) show() []Setting {
	var out []Setting
	for i := range keys {
		k := &keys[i]
		at, ok := t.origin.of(k.name)
		if t.File == "" && k.where == team {
			at, ok = origin{name: "built in"}, true
		}
		if ok {
			out = append(out, Setting{t.settingName(k), k.format(field(t, k.name).Interface()), at.String()})
		}
	}
	return out
}

// ShowTeam returns all settings that are in force for a team, without its name in
// their keys. Those that no file sets for a team have the source of the top level; a
// team that is only a directory has the source "no team".
func (c *Config) ShowTeam(t *Team) []Setting {
	var out []Setting
	for i := range keys {
		k := &keys[i]
		if k.where == top {
			continue
		}
		at, ok := t.origin.of(k.name)
		switch {
		case ok:
		case k.where == team && t.Name == t.Dir:
			at.name = "no team"
		case k.where == team && t.File == "":
			at.name = "built in"
		default:
			if at, ok = c.origin.of(k.name); !ok || k.where == team || k.kind == kindBudget {
				at = origin{name: "default"}
			}
		}
		out = append(out, Setting{k.name, k.format(field(t, k.name).Interface()), at.String()})
	}
	return out
}

// format writes a value as TOML, but of variables only the names: their values may be
// secrets.
func (k *key) format(x any) string {
	switch x := x.(type) {
	case string:
		return tomlString(x)
	case fs.FileMode:
		return fmt.Sprintf(`"%03o"`, x)
	case time.Duration:
		return strconv.Quote(shortDuration(x))
	case int64:
		return strconv.Quote(shortSize(x))
	case Share:
		return strconv.Quote(x.String())
	case Budget:
		return x.String()
	case []string:
		if k.kind == kindCommand && len(x) == 1 {
			return tomlString(x[0])
		}
		quoted := make([]string, len(x))
		for i, s := range x {
			quoted[i] = tomlString(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case map[string]string:
		var vars []string
		for _, name := range slices.Sorted(maps.Keys(x)) {
			vars = append(vars, name+" = ...")
		}
		return strings.TrimSpace("{ "+strings.Join(vars, ", ")) + " }"
	}
	return fmt.Sprint(x)
}
