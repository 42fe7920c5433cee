package config

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	const rule = `: a name is 1 to 63 letters, digits, ".", "_" or "-" and begins with a letter, a digit or "_"`
	for _, tt := range []struct{ name, want string }{
		{"a", "<nil>"}, {"_", "<nil>"}, {"9.b-C_d", "<nil>"}, {"CON", "<nil>"}, {strings.Repeat("x", 63), "<nil>"},
		{"", `team name is empty` + rule},
		{strings.Repeat("x", 64), `team name "xxxxxxxxxxxxxxxxxxxx"... has 64 characters` + rule},
		{strings.Repeat("é", 150), `team name "éééééééééé"... has 150 characters` + rule},
		{"..", `team name "..": "." is not allowed at the beginning` + rule},
		{"-rf", `team name "-rf": "-" is not allowed at the beginning` + rule},
		{"../x", `team name "../x": "." is not allowed at the beginning` + rule},
		{"a/b", `team name "a/b": "/" is not allowed in it` + rule},
		{"a\\b", `team name "a\\b": "\\" is not allowed in it` + rule},
		{"a@b", `team name "a@b": "@" is not allowed in it` + rule},
		{"a b", `team name "a b": " " is not allowed in it` + rule},
		{"a\x00", `team name "a\x00": "\x00" is not allowed in it` + rule},
		{"a\n", `team name "a\n": "\n" is not allowed in it` + rule},
		{"é", `team name "é": "é" is not allowed in it` + rule},
		{"a\u202eb", `team name "a\u202eb": "\u202e" is not allowed in it` + rule},
		{"a\xffb", `team name "a\xffb": "\xff" is not allowed in it` + rule},
	} {
		wantErr(t, "", CheckName("team", tt.name), tt.want)
	}
	wantErr(t, "", CheckName("session", ""), "session name is empty"+rule)
}

func TestNearest(t *testing.T) {
	words := []string{"api", "web", "frontend", "max_processes"}
	for s, want := range map[string]string{
		"apo": "api", "aip": "api", "API": "api", "ap": "api", "a": "", "wxy": "", "frontned": "frontend",
		"maxprocesses": "max_processes", "": "", "something": "", "apiapi": "",
	} {
		if got := nearest(s, words); got != want {
			t.Errorf("nearest(%q): got %q, want %q", s, got, want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for s, want := range map[string]string{"/a/b-c.d": "/a/b-c.d", "/a b": "'/a b'", "it's": `'it'\''s'`, "": "''", "~x": "'~x'"} {
		if got := ShellQuote(s); got != want {
			t.Errorf("ShellQuote(%q): got %s, want %s", s, got, want)
		}
	}
}
