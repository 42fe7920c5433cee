//go:build linux

package main

import (
	"strings"
	"testing"

	"iris/config"
)

// ownPaths gives the test a home of its own and returns its paths.
func ownPaths(t *testing.T) config.Paths {
	t.Helper()
	home := t.TempDir()
	for name, dir := range map[string]string{
		"HOME": home, "XDG_RUNTIME_DIR": home, "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": "", "IRIS_SOCKET": "", "IRIS_CONFIG": "",
	} {
		t.Setenv(name, dir)
	}
	p, err := config.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The command that stops a running daemon stops the daemon of the chosen paths.
func TestInstallStopsTheDaemonThatIsChosen(t *testing.T) {
	p := ownPaths(t)
	if got := strings.Join(commandFor(p, "/a b/iris"), " "); got != "'/a b/iris'" {
		t.Errorf("got %s", got)
	}
	t.Setenv("IRIS_CONFIG", "/tmp/it's.toml")
	t.Setenv("IRIS_SOCKET", "/tmp/$(x)")
	p, err := config.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(commandFor(p, "/iris"), " "); got != `/iris --config '/tmp/it'\''s.toml' --socket '/tmp/$(x)'` {
		t.Errorf("got %s", got)
	}
}
