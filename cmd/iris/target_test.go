package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	dir := t.TempDir()
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	t.Chdir(dir)
	t.Setenv("HOME", "/home/me")
	if err := os.MkdirAll("web@old/src", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ arg, team, session string }{
		{"api", "api", ""},
		{"api@review", "api", "review"},
		{".", dir, ""},
		{".@review", dir, "review"},
		{"..", filepath.Dir(dir), ""},
		{"./", dir, ""},
		{"./x@review", dir + "/x", "review"},
		{"./web@old", dir + "/web@old", ""},
		{"web@old/src", dir + "/web@old/src", ""},
		{"./web@old@s", dir + "/web@old", "s"},
		{"./node_modules/@types", dir + "/node_modules/@types", ""},
		{"./a@b/c", dir + "/a@b/c", ""},
		{"a/../b", dir + "/b", ""},
		{"/abs/./dir/", "/abs/dir", ""},
		{"/abs/my dir@s", "/abs/my dir", "s"},
		{"~/src/api", "/home/me/src/api", ""},
		{"~/src/api@s", "/home/me/src/api", "s"},
		{"~", "/home/me", ""},
		{"~@s", "/home/me", "s"},
		{"./~/src", dir + "/~/src", ""},
	} {
		team, session, err := parseTarget(c.arg)
		if err != nil || team != c.team || session != c.session {
			t.Errorf("parseTarget(%q) = %q, %q, %v, want %q, %q", c.arg, team, session, err, c.team, c.session)
		}
	}
	if _, _, err := parseTarget("api@a/b"); err == nil || !strings.HasPrefix(err.Error(), `session name "a/b": "/" is not allowed`) {
		t.Errorf("api@a/b: %v", err)
	}
	for _, arg := range []string{"", "api@", "./x@", "@types", "@docs/notes.txt", "a@b@c", "a b", "-x", "~other"} {
		if team, session, err := parseTarget(arg); err == nil {
			t.Errorf("parseTarget(%q) = %q, %q, want an error", arg, team, session)
		}
	}
}
