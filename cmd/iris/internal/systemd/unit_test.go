//go:build linux

package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"iris/config"
	"iris/config/sys/systest"
)

func TestMain(m *testing.M) {
	systest.Begin()
	os.Exit(m.Run())
}

// mustResolve gives the test a home of its own and returns its paths.
func mustResolve(t *testing.T) config.Paths {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	for name, dir := range map[string]string{
		"XDG_CONFIG_HOME": "", "XDG_STATE_HOME": "", "IRIS_SOCKET": "", "IRIS_CONFIG": "", "XDG_RUNTIME_DIR": filepath.Join(home, "run"),
	} {
		t.Setenv(name, dir)
		if dir != "" {
			mustMkdir(t, dir)
		}
	}
	return resolve(t)
}

func resolve(t *testing.T) config.Paths {
	t.Helper()
	p, err := config.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustMkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

// verify has systemd read units; whatever it says is wrong with them.
func verify(t *testing.T, paths ...string) {
	t.Helper()
	cmd := exec.Command(systest.Needs(t, "systemd-analyze"), append([]string{"--user", "verify"}, paths...)...)
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
		for _, path := range paths {
			text, _ := os.ReadFile(path)
			t.Logf("%s", text)
		}
	}
}

func writeUnits(t *testing.T, p config.Paths, self string, socket bool) (paths []string) {
	t.Helper()
	all, err := Units(p, self, socket)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range all {
		if err := u.Write(); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, u.Path)
		if there, ours, err := u.Ours(); !there || !ours || err != nil {
			t.Errorf("%s: there %v, ours %v, %v", u.Path, there, ours, err)
		}
	}
	return paths
}

func TestSystemdTakesTheUnits(t *testing.T) {
	odd := filepath.Join(t.TempDir(), "a b", "100%h", "$HOME ${x};")
	mustMkdir(t, odd)
	self := filepath.Join(odd, "iris")
	if err := os.WriteFile(self, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, socket := range []bool{false, true} {
		t.Run(fmt.Sprint("socket ", socket), func(t *testing.T) {
			p := mustResolve(t)
			verify(t, writeUnits(t, p, self, socket)...)
			t.Setenv("XDG_CONFIG_HOME", odd)
			t.Setenv("XDG_STATE_HOME", odd)
			t.Setenv("IRIS_SOCKET", filepath.Join(t.TempDir(), `s %t "k"`))
			t.Setenv("IRIS_CONFIG", filepath.Join(odd, `it's \ "one".toml`))
			p = resolve(t)
			verify(t, writeUnits(t, p, self, socket)...)
		})
	}
}

// The test above is worth something only if systemd reports settings that it does not
// know.
func TestSystemdRefusesAnotherUnit(t *testing.T) {
	p := mustResolve(t)
	path := writeUnits(t, p, "/bin/true", false)[0]
	text, _ := os.ReadFile(path)
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "WatchdogSec", "WatchdogSecs", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command(systest.Needs(t, "systemd-analyze"), "--user", "verify", path).CombinedOutput()
	if !strings.Contains(string(out), "WatchdogSecs") {
		t.Errorf("got %q", out)
	}
}

func TestUnitIsForTheDaemonThatACommandWouldStart(t *testing.T) {
	p := mustResolve(t)
	text := func(p config.Paths) string {
		t.Helper()
		all, err := Units(p, "/usr/bin/iris", false)
		if err != nil {
			t.Fatal(err)
		}
		return all[0].Text
	}
	plain := text(p)
	t.Setenv("IRIS_SOCKET", p.Usual)
	if !fits(plain, resolve(t)) {
		t.Error("agents, which have IRIS_SOCKET, start another daemon")
	}
	t.Setenv("XDG_STATE_HOME", filepath.Join(p.Home, ".local/state/"))
	if !fits(plain, resolve(t)) || fits(strings.Replace(plain, "daemon", "daemon --max-processes 3", 1), p) != true {
		t.Error("it does not fit")
	}
	for name, value := range map[string]string{
		"IRIS_SOCKET": "/tmp/other", "IRIS_CONFIG": "/tmp/other.toml", "XDG_STATE_HOME": "/tmp/st", "XDG_CONFIG_HOME": "/tmp/c%",
	} {
		t.Setenv(name, value)
		other := resolve(t)
		if fits(plain, other) {
			t.Errorf("with %s another daemon is meant", name)
		}
		theirs := text(other)
		if !fits(theirs, other) {
			t.Errorf("%s is not in the unit", name)
		}
		t.Setenv(name, "")
		if fits(theirs, p) {
			t.Errorf("without %s the unit's daemon is another one", name)
		}
	}
}

func TestChangedUnitIsNotOurs(t *testing.T) {
	p := mustResolve(t)
	all, err := Units(p, "/usr/bin/iris", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range all {
		if !untouched(u.Text) {
			t.Errorf("not ours:\n%s", u.Text)
		}
		for _, changed := range []string{u.Text + "\n", strings.Replace(u.Text, "iris", "Iris", 3), "", "\n\n", "[Service]\n\nExecStart=/bin/true\n"} {
			if untouched(changed) {
				t.Errorf("ours:\n%s", changed)
			}
		}
	}
	if _, err := Units(p, "/opt/it's/iris", false); err == nil {
		t.Error("systemd does not run such a program")
	}
}

// A line of a unit cannot be smuggled in, nor swallowed.
func TestUnitHasNoLinesButOurs(t *testing.T) {
	for _, c := range []struct{ name, value string }{
		{"XDG_CONFIG_HOME", "/c\nExecStartPre=/bin/false"},
		{"XDG_STATE_HOME", "/s\nExecStartPre=/bin/false"},
		{"IRIS_SOCKET", `/tmp/s\`},
		{"IRIS_SOCKET", "/tmp/s "},
	} {
		p := mustResolve(t)
		t.Setenv("IRIS_CONFIG", filepath.Join(p.Home, "c.toml"))
		t.Setenv(c.name, c.value)
		if all, err := Units(resolve(t), "/usr/bin/iris", true); err == nil {
			t.Errorf("%s=%q:\n%s", c.name, c.value, all)
		}
	}
}
