package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"iris/config/sys/systest"
)

func TestMain(m *testing.M) {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "IRIS_") || strings.HasPrefix(name, "XDG_") {
			os.Unsetenv(name)
		}
	}
	usersFile, groupsFile = os.DevNull, os.DevNull // no group is private
	systest.Begin()
	goleak.VerifyTestMain(m)
}

// newHome makes an empty home directory the one of the test and returns its
// paths. It is short, since a socket's path must be.
func newHome(t testing.TB) Paths {
	t.Helper()
	home, err := os.MkdirTemp("", "iris")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if home, err = filepath.EvalSymlinks(home); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	run := filepath.Join(home, "run")
	mustMkdir(t, run)
	t.Setenv("XDG_RUNTIME_DIR", run)
	return mustResolve(t, "")
}

func mustResolve(t testing.TB, socket string) Paths {
	t.Helper()
	p, err := Resolve(socket)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustMkdir(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

// mustWrite writes a file of mode 0600 and the directories above it.
func mustWrite(t testing.TB, file, text string) {
	t.Helper()
	mustMkdir(t, filepath.Dir(file))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustDo(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mustLoad loads a config.toml of that text.
func mustLoad(t testing.TB, text string) *Config {
	t.Helper()
	p := newHome(t)
	mustWrite(t, p.Config, text)
	cfg, err := Load(p)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// wantErr compares the text of an error in which home, if any, is written "~".
func wantErr(t testing.TB, home string, err error, want string) {
	t.Helper()
	got := "<nil>"
	if err != nil {
		got = err.Error()
	}
	if home != "" {
		got = strings.ReplaceAll(got, home, "~")
	}
	if got != want {
		t.Errorf("error\n got: %s\nwant: %s", got, want)
	}
}
