package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"iris/config/sys"
)

// ReadEnvFile reads a file of NAME=value lines, which must belong to this user or
// root and must not be readable by others. Blank lines and lines that begin with #
// are skipped; a leading "export " is allowed. A value may be quoted: '...' is taken
// literally; in "..." a backslash before n, t or r makes a newline, tab or return,
// and before any other character that character. Variables are not expanded. Errors
// never show a value; they are Problems with file and line, and an error about the
// whole file wraps its cause (such as fs.ErrNotExist).
func ReadEnvFile(path string) (map[string]string, error) {
	data, err := readTrusted(path, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist%w", path, sys.Silent(fs.ErrNotExist))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return parseEnv(path, data)
}

func parseEnv(path string, data []byte) (map[string]string, error) {
	env, first := map[string]string{}, map[string]int{}
	var problems Problems
	text := string(bytes.TrimPrefix(data, []byte("\ufeff")))
	n := 0
	for line := range strings.Lines(text) {
		n++
		name, value, rule := parseEnvLine(strings.TrimRight(line, "\r\n"))
		if name != "" && rule == "" && first[name] > 0 {
			rule = fmt.Sprintf("%s is already set in line %d", name, first[name])
		}
		if rule != "" {
			problems = append(problems, Problem{File: path, Line: n, Msg: rule})
			continue
		}
		if name != "" {
			env[name], first[name] = value, n
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return env, nil
}

// parseEnvLine returns the variable of a line, nothing for a line without one, or the
// rule that it breaks.
func parseEnvLine(line string) (name, value, rule string) {
	line = strings.Trim(line, " \t")
	if line == "" || line[0] == '#' {
		return "", "", ""
	}
	if rest, ok := strings.CutPrefix(line, "export "); ok {
		line = strings.TrimLeft(rest, " \t")
	}
	name, value, ok := strings.Cut(line, "=")
	name = strings.TrimRight(name, " \t")
	if !ok {
		return "", "", `no "="; write NAME=value`
	}
	if rule := envNameRule(name); rule != "" {
		return "", "", `before the "=": ` + rule // not the name itself: it may be half a secret
	}
	value, rule = unquoteEnv(strings.TrimLeft(value, " \t"))
	if rule == "" {
		rule = wordRule(value)
	}
	if rule != "" {
		return "", "", name + ": " + rule
	}
	return name, value, ""
}

func unquoteEnv(s string) (value, rule string) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		if strings.Contains(s, " #") || strings.Contains(s, "\t#") {
			return "", `the value holds " #": put it in quotes, or the comment on a line of its own`
		}
		return s, ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			if rest := strings.TrimLeft(s[i+1:], " \t"); rest != "" && rest[0] != '#' {
				return "", "something follows the closing quote"
			}
			return b.String(), ""
		case s[i] == '\\' && s[0] == '"' && i+1 < len(s):
			i++
			b.WriteByte(unescape(s[i]))
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "the closing quote is missing; a value ends in its line"
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	}
	return c
}
