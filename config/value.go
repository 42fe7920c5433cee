package config

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// read converts a value for the key's field. It returns nil for a value that is not
// allowed, and reports the place and the reason.
func (k *key) read(v *value, home string, report func(position, string)) any {
	var out any
	var rule string
	switch k.kind {
	case kindArgs, kindNames, kindWords:
		out, rule = k.readList(v, report)
	case kindProgram:
		out, rule = k.readProgram(v, home, report)
	case kindCommand:
		out, rule = k.readCommand(v, home, report)
	case kindEnv:
		out, rule = k.readEnv(v, report)
	case kindBudget:
		out, rule = k.readBudget(v, report)
	default:
		out, rule = k.readScalar(v, home)
	}
	if rule != "" {
		report(v.pos, k.name+v.shown()+": "+rule)
		return nil
	}
	return out
}

// readScalar returns the value, or the rule that it breaks.
func (k *key) readScalar(v *value, home string) (any, string) {
	switch k.kind {
	case kindInt:
		return k.readInt(v)
	case kindBool:
		if v.kind != unstable.Bool {
			return nil, "must be true or false, without quotes"
		}
		return v.flag, ""
	case kindDuration:
		return k.readDuration(v)
	case kindSize:
		return k.readSize(v)
	case kindShare:
		return k.readShare(v)
	case kindPart:
		return k.readPart(v)
	}
	if v.kind != unstable.String {
		return nil, "must be a string, in quotes"
	}
	return k.readString(v.str, home)
}

func (k *key) readString(s, home string) (any, string) {
	if bad := unprintable(s); bad != "" {
		return nil, "holds " + bad + ", which is not allowed here"
	}
	switch k.kind {
	case kindWord:
		for _, w := range k.words {
			if s == w {
				return s, ""
			}
		}
		return nil, "must be " + choice(k.words)
	case kindUmask:
		n, err := strconv.ParseUint(s, 8, 32)
		if err != nil || int64(n) > k.max {
			return nil, `must be an octal number from "0" to "777", such as "022"`
		}
		return fs.FileMode(n), ""
	case kindDir, kindFile, kindCommand:
		return k.readPath(s, home)
	}
	return s, ""
}

func (k *key) readInt(v *value) (any, string) {
	if v.kind != unstable.Integer || v.num > k.max || v.num < k.min && (v.num != 0 || k.zero == "") {
		return nil, "must be a " + k.describe()
	}
	return int(v.num), ""
}

func (k *key) readDuration(v *value) (any, string) {
	var d time.Duration
	switch v.kind {
	case unstable.String:
		var err error
		if d, err = ParseDuration(v.str); err != nil {
			return nil, `must be a duration such as "30s", "1h30m" or "7d"` + k.orZero()
		}
	case unstable.Integer:
		if v.num != 0 {
			return nil, fmt.Sprintf("has no unit; write %q for seconds%s", strconv.FormatInt(max(v.num, 1), 10)+"s", k.orZero())
		}
	default:
		return nil, `must be a duration such as "30s", "1h30m" or "7d"` + k.orZero()
	}
	if rule := k.bounds(int64(d), func(n int64) string { return shortDuration(time.Duration(n)) }); rule != "" {
		return nil, rule
	}
	return d, ""
}

func (k *key) readSize(v *value) (any, string) {
	var n int64
	ok := v.kind == unstable.Integer && v.num == 0
	if v.kind == unstable.String {
		n, ok = parseSize(v.str)
	}
	if !ok {
		return nil, `must be a size such as "800MB" or "2GiB"` + k.orZero()
	}
	if rule := k.bounds(n, shortSize); rule != "" {
		return nil, rule
	}
	return n, ""
}

// bounds returns the rule that n breaks.
func (k *key) bounds(n int64, show func(int64) string) string {
	switch {
	case n == 0 && k.zero != "", n >= k.min && n <= k.max:
		return ""
	case n > k.max:
		return "must be at most " + show(k.max)
	case k.min == 1:
		return "must not be negative"
	}
	return "must be at least " + show(k.min) + k.orZero()
}

func (k *key) orZero() string {
	if k.zero == "" {
		return ""
	}
	return `, or "0" for ` + k.zero
}

// readPath makes a path absolute. It expands only a leading ~ or $HOME; a relative
// path has no clear meaning.
func (k *key) readPath(s, home string) (any, string) {
	switch {
	case s == "" && k.kind == kindFile:
		return "", ""
	case s == "":
		return nil, "must not be empty"
	case k.kind == kindCommand && !strings.ContainsRune(s, '/') && s != "~" && s != "$HOME":
		return s, ""
	}
	for _, prefix := range []string{"~", "$HOME"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok && (rest == "" || rest[0] == '/') {
			return filepath.Join(home, rest), ""
		}
	}
	switch {
	case filepath.IsAbs(s):
		return filepath.Clean(s), ""
	case s[0] == '~':
		return nil, "another user's home directory is not looked up; write the absolute path"
	case s[0] == '$':
		return nil, "only $HOME is replaced; write the absolute path"
	}
	return nil, fmt.Sprintf("is relative; write an absolute path, such as %q or %q", filepath.Join(home, s), filepath.Join("~", s))
}

func (k *key) readList(v *value, report func(position, string)) (any, string) {
	if v.kind != unstable.Array {
		return nil, `must be a list of strings, such as ["a", "b"]`
	}
	out, before := make([]string, 0, len(v.list)), ""
	for i, e := range v.list {
		rule := "must be a string, in quotes"
		if e.kind == unstable.String {
			rule = wordRule(e.str)
			switch {
			case k.kind == kindWords && !slices.Contains(k.words, e.str):
				rule = "must be " + choice(k.words)
			case k.kind == kindNames:
				rule = envNameRule(passPrefix(e.str))
			case rule == "" && k.name == "args":
				rule = argRule(i == 0, before, e.str)
			}
			before = e.str
		}
		if rule != "" {
			report(e.pos, fmt.Sprintf("%s[%d]%s: %s", k.name, i, e.shown(), rule))
			continue
		}
		out = append(out, e.str)
	}
	return out, ""
}

// readProgram makes the path of the program absolute.
func (k *key) readProgram(v *value, home string, report func(position, string)) (any, string) {
	out, rule := k.readList(v, report)
	words, _ := out.([]string)
	if rule != "" || len(words) == 0 || len(words) != len(v.list) {
		return out, rule
	}
	program := key{name: k.name, kind: kindCommand}
	path, rule := program.readString(words[0], home)
	if rule != "" {
		report(v.list[0].pos, fmt.Sprintf("%s[0]%s: %s", k.name, v.list[0].shown(), rule))
		return nil, ""
	}
	words[0] = path.(string)
	return words, ""
}

// readCommand reads a program alone, or with its arguments.
func (k *key) readCommand(v *value, home string, report func(position, string)) (any, string) {
	if v.kind == unstable.Array {
		if len(v.list) == 0 {
			return nil, "must have the program"
		}
		return k.readProgram(v, home, report)
	}
	out, rule := k.readScalar(v, home)
	if rule != "" {
		return nil, rule
	}
	return []string{out.(string)}, ""
}

// readEnv reads a table of variables. It never shows a value: it may be a secret.
func (k *key) readEnv(v *value, report func(position, string)) (any, string) {
	if v.kind != unstable.Table {
		return nil, `must be a table of strings, such as { NAME = "value" }`
	}
	out := make(map[string]string, len(v.keys))
	for _, name := range v.keys {
		e := v.table[name]
		if rule := envNameRule(name); rule != "" {
			report(e.keyAt, fmt.Sprintf("%s: name %q: %s", k.name, name, rule))
			continue
		}
		rule := "must be a string, in quotes"
		if e.kind == unstable.String {
			rule = wordRule(e.str)
		}
		if rule != "" {
			report(e.pos, fmt.Sprintf("%s: %s: %s", k.name, name, rule))
			continue
		}
		out[name] = e.str
	}
	return out, ""
}

// wordRule returns the rule that a string for a new process breaks.
func wordRule(s string) string {
	if strings.ContainsRune(s, 0) {
		return "holds a NUL byte"
	}
	return ""
}

// passPrefix removes the * of a name that stands for all names with that beginning.
func passPrefix(s string) string { return strings.TrimSuffix(s, "*") }

func envNameRule(s string) string {
	ok := s != ""
	for i, r := range s {
		ok = ok && (r == '_' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || i > 0 && r >= '0' && r <= '9')
	}
	switch {
	case !ok:
		return `the name of a variable has only letters, digits and "_" and does not begin with a digit`
	case s == "IRIS_PROCESS":
		return "is set by iris itself"
	}
	return ""
}

// shown returns " = value" for a message, nothing for a list or table.
func (v *value) shown() string {
	if v.raw == "" {
		return ""
	}
	text, dots := truncate(v.raw, 60), ""
	if text != v.raw {
		dots = "..."
	}
	if unprintable(text) != "" {
		text = strconv.Quote(text)
	}
	return " = " + text + dots
}

// textValue returns the value that s would be in a file, for the environment and for
// flags, where strings have no quotes.
func (k *key) textValue(s string) *value {
	v := &value{kind: unstable.String, str: s}
	switch k.kind {
	case kindInt, kindDuration, kindSize, kindShare:
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			v.kind, v.num = unstable.Integer, n
		}
	case kindPart:
		v.kind, v.raw = unstable.Float, s
	case kindBool:
		if s == "true" || s == "false" {
			v.kind, v.flag = unstable.Bool, s == "true"
		}
	}
	return v
}

// defaultValue returns the value that the default would be in a file.
func (k *key) defaultValue() *value {
	if k.list() {
		root, _, _ := parseTOML("", []byte(k.name+" = "+k.def))
		return root.table[k.name]
	}
	return k.textValue(strings.Trim(k.def, `"`))
}

var units = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
}

// parseSize reads a number of bytes with its unit; 0 needs none.
func parseSize(s string) (int64, bool) {
	digits := strings.TrimRight(s, "BKMGTi")
	if digits == "" || strings.Trim(digits, "0123456789.") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0, false
	}
	if f == 0 && digits == s {
		return 0, true
	}
	for _, u := range units {
		if s[len(digits):] == u.name {
			return int64(min(f*float64(u.size), 1<<62)), true
		}
	}
	return 0, false
}

// shortSize is a size in the largest unit that needs no fraction.
func shortSize(n int64) string {
	if n == 0 {
		return "0"
	}
	best := units[len(units)-1]
	for _, u := range units {
		if n%u.size == 0 && u.size > best.size {
			best = u
		}
	}
	return strconv.FormatInt(n/best.size, 10) + best.name
}

// shortDuration is a duration without its zero parts: "5m", not "5m0s".
func shortDuration(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
