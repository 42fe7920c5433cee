package agents

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"iris/config"
	"iris/ipc"
)

// patience is how long a test waits for an event, even on a busy machine.
const patience = time.Minute

func TestMain(m *testing.M) {
	ShellTimeout = patience
	goleak.VerifyTestMain(m)
}

// value returns the value of a variable, and whether it is set.
func value(vars []ipc.EnvVar, name string) (string, bool) {
	for _, v := range vars {
		if v.Name == name {
			return v.Value, true
		}
	}
	return "", false
}

func base(vars map[string]string) *Environment {
	e := &Environment{}
	f := func() baseEnv { return baseEnv{vars, "test"} }
	e.base.Store(&f)
	return e
}

func TestEnvironmentIsAnAllowList(t *testing.T) {
	e := base(map[string]string{
		"HOME": "/h", "PATH": "/bin", "LC_ALL": "C.UTF-8", "ANTHROPIC_API_KEY": "k", "CLAUDE_CODE_USE_BEDROCK": "1",
		"CLAUDECODE": "1", "CLAUDE_CODE_SSE_PORT": "99", "AWS_SECRET_ACCESS_KEY": "s", "IRIS_PROCESS": "x", "LD_PRELOAD": "/evil.so", "FOO": "1", "BAR_A": "2",
	})
	vars, err := e.Build(&config.Team{Name: "api", Settings: config.Settings{PassEnv: []string{"FOO", "BAR_*"}}}, "/run/s")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"HOME": "/h", "PATH": "/bin", "LC_ALL": "C.UTF-8", "ANTHROPIC_API_KEY": "k", "CLAUDE_CODE_USE_BEDROCK": "1",
		"FOO": "1", "BAR_A": "2", "IRIS_SOCKET": "/run/s",
	} {
		if got, _ := value(vars, name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"CLAUDECODE", "CLAUDE_CODE_SSE_PORT", "AWS_SECRET_ACCESS_KEY", "IRIS_PROCESS", "LD_PRELOAD"} {
		if got, ok := value(vars, name); ok {
			t.Errorf("%s=%q reached the agent", name, got)
		}
	}
}

func TestTeamVariablesStandOverTheFileAndTheBase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("A=file\nB=file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := base(map[string]string{"A": "base", "B": "base", "PATH": "/bin"})
	team := &config.Team{Name: "api", Settings: config.Settings{
		PassEnv: []string{"A", "B"}, EnvFile: file, Env: map[string]string{"B": "team"},
	}}
	vars, err := e.Build(team, "/run/s")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := value(vars, "A")
	b, _ := value(vars, "B")
	if a != "file" || b != "team" {
		t.Errorf("got A=%s B=%s, want A=file B=team", a, b)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Build(team, "/run/s"); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a readable env_file: got %v, want a refusal that names it", err)
	}
}

func TestSecretsAreMasked(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"ANTHROPIC_API_KEY", "sk-ant-0123456789abcdefghijkl", "sk-a****ijkl"},
		{"GITHUB_TOKEN", "short", "****"},
		{"ANTHROPIC_BASE_URL", "http://127.0.0.1:1", "http://127.0.0.1:1"},
		{"HTTPS_PROXY", "http://user:word@proxy:3128", "****"},
		{"PATH", "/bin", "/bin"},
		{"DB_PASSWORD", "", ""},
	} {
		if got := mask(ipc.EnvVar{Name: c.name, Value: c.value}).Value; got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLoginShellDecidesThePathAndNotTheCaller(t *testing.T) {
	home := t.TempDir()
	profile := "echo noise on stdout\necho noise >&2\nexport PATH=/from/profile:/usr/bin:/bin\nexport ANTHROPIC_API_KEY=from-profile HOME=/elsewhere\n"
	for _, name := range []string{".profile", ".bash_profile", ".zprofile"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(profile), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", home)
	t.Setenv("PATH", "/callers/own")
	t.Setenv("ANTHROPIC_AUTH_TOKEN", "callers own")
	var wg sync.WaitGroup
	e := newEnvironment(true, nil, &wg)
	wg.Wait()
	got := e.Base()
	if !strings.HasPrefix(got["PATH"], "/from/profile:") || got["ANTHROPIC_API_KEY"] != "from-profile" {
		t.Errorf("got PATH=%s ANTHROPIC_API_KEY=%s, want the profile's", got["PATH"], got["ANTHROPIC_API_KEY"])
	}
	if _, ok := got["ANTHROPIC_AUTH_TOKEN"]; ok {
		t.Error("a variable of the caller reached the base environment")
	}
	if got["HOME"] != home {
		t.Errorf("got HOME=%s, want %s: it decides which daemon this is", got["HOME"], home)
	}
}

// A background process of a profile may keep the shell's output open for ever.
func TestProfileMayStartWhatStays(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{".profile", ".bash_profile", ".zprofile"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte("sleep 600 &\necho $! > ~/pid\nexport PATH=/from/profile:$PATH\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", home)
	ShellTimeout = 10 * time.Second // it waits for a part of this
	defer func() { ShellTimeout = patience }()
	var wg sync.WaitGroup
	e := newEnvironment(true, nil, &wg)
	wg.Wait()
	if b, err := os.ReadFile(filepath.Join(home, "pid")); err != nil {
		t.Error(err)
	} else if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil {
		t.Errorf("it does not stay: %q", b)
	}
	if got := e.Base()["PATH"]; !strings.HasPrefix(got, "/from/profile:") || e.Warnings() != nil {
		t.Errorf("got PATH=%q, warnings %q", got, e.Warnings())
	}
}

func TestLoginShellThatHangsIsGivenUp(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{".profile", ".bash_profile", ".zprofile"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte("sleep 60\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", home)
	ShellTimeout = 200 * time.Millisecond
	defer func() { ShellTimeout = patience }()
	var wg sync.WaitGroup
	e := newEnvironment(true, nil, &wg)
	wg.Wait()
	if got := e.Base(); got["PATH"] != fallbackPath || got["HOME"] != home {
		t.Errorf("got PATH=%q HOME=%q, want the fallback", got["PATH"], got["HOME"])
	}
	if w := e.Warnings(); len(w) != 1 || !strings.Contains(w[0], "no answer within") {
		t.Errorf("got warnings %q, want one that says so", w)
	}
	for _, name := range []string{".profile", ".bash_profile", ".zprofile"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte("export PATH=/fixed:/bin\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ShellTimeout = patience
	e.Refresh()
	wg.Wait()
	if got := e.Base()["PATH"]; got != "/fixed:/bin" || e.Warnings() != nil {
		t.Errorf("after the profile was fixed: got PATH=%q, warnings %q", got, e.Warnings())
	}
}

func TestForegroundDaemonHasItsOwnEnvironment(t *testing.T) {
	t.Setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
	e := newEnvironment(false, nil, nil)
	if got := e.Base()["ANTHROPIC_BASE_URL"]; got != "http://127.0.0.1:9" {
		t.Errorf("got %q", got)
	}
}
