package agents

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"iris/config"
	"iris/config/sys/systest"
	"iris/pool/procs"
)

// good makes a fake shell answer.
const good = `export PATH=/from/profile:/usr/bin:/bin; exec /bin/sh -c "$2"`

// loginsBy makes a program the user's login shell, with a new home, which it returns.
func loginsBy(t *testing.T, shell string) (home string) {
	t.Helper()
	home = t.TempDir()
	users := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(users, fmt.Appendf(nil, "me:x:%d:0::%s:%s\n", os.Getuid(), home, shell), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	old := passwd
	passwd = users
	t.Cleanup(func() { passwd = old })
	return home
}

// shells makes a script the user's login shell and returns its home. The script is called as
// a shell is: with -lc or -lic and a command.
func shells(t *testing.T, script string) (home string) {
	t.Helper()
	home = loginsBy(t, filepath.Join(t.TempDir(), "shell"))
	shellDoes(t, home, script)
	return home
}

// shellDoes changes the script of shells.
func shellDoes(t *testing.T, home, script string) {
	t.Helper()
	path := passwdShell()
	if err := os.WriteFile(path+".new", []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// asked returns an Environment of the login shell, and a function that ends it.
func asked(t *testing.T) (e *Environment, wait func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	return shellEnvironment(ctx, nil, &wg), func() { cancel(); wg.Wait() }
}

// write writes files below a directory.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// ofTeam builds the environment of a team whose program is called command.
func ofTeam(t *testing.T, e *Environment, command string) *Built {
	t.Helper()
	return built(t, e, config.Settings{Command: []string{command}})
}

func TestLoginShellDecidesThePathAndNotTheCaller(t *testing.T) {
	for _, name := range []string{"bash", "zsh", "dash"} {
		t.Run(name, func(t *testing.T) {
			shell := systest.Needs(t, name)
			home := loginsBy(t, shell)
			profile := "echo noise on stdout\necho noise >&2\nexport PATH=/from/profile:/usr/bin:/bin\nexport ANTHROPIC_API_KEY=from-profile HOME=/elsewhere\n"
			write(t, home, map[string]string{".profile": profile, ".bash_profile": profile, ".zprofile": profile})
			t.Setenv("PATH", "/callers/own")
			t.Setenv("ANTHROPIC_AUTH_TOKEN", "callers own")
			e, wait := asked(t)
			defer wait()
			b := ofTeam(t, e, "sh")
			if path, _ := value(b, "PATH"); !strings.HasPrefix(path, "/from/profile:") {
				t.Errorf("got PATH=%s", path)
			}
			if key, _ := value(b, "ANTHROPIC_API_KEY"); key != "from-profile" {
				t.Errorf("got ANTHROPIC_API_KEY=%s", key)
			}
			if b.Has("ANTHROPIC_AUTH_TOKEN") {
				t.Error("a variable of the caller reached the base environment")
			}
			if got, _ := value(b, "HOME"); got != home {
				t.Errorf("got HOME=%s, want %s: it decides which daemon this is", got, home)
			}
			if b.base.source != fromLogin || e.Warnings() != nil {
				t.Errorf("from %s, warnings %q", b.base.source, e.Warnings())
			}
		})
	}
}

// Version managers set the PATH in files that only an interactive shell reads to the end.
func TestInteractiveShellFindsWhatTheLoginShellDoesNot(t *testing.T) {
	const (
		guard = "case $- in *i*) ;; *) return;; esac\n"
		sets  = "echo noise; echo noise >&2; read -r line; stty -echo; read -r line < /dev/tty\nexport PATH=$HOME/manager/bin:$PATH ANTHROPIC_API_KEY=from-rc\n"
	)
	for _, c := range []struct {
		name, shell string
		files       map[string]string
	}{
		{"end of .bashrc", "bash", map[string]string{".bashrc": guard + sets, ".profile": ". ~/.bashrc\n"}},
		{".bash_profile without .bashrc", "bash", map[string]string{".bashrc": guard + sets, ".bash_profile": "export FROM=profile\n"}},
		{".zshrc", "zsh", map[string]string{".zshrc": sets, ".zprofile": "export FROM=profile\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			shell := systest.Needs(t, c.shell)
			home := loginsBy(t, shell)
			write(t, home, c.files)
			write(t, home, map[string]string{"manager/bin/the-program": "#!/bin/sh\n"})
			e, wait := asked(t)
			defer wait()
			b := ofTeam(t, e, "the-program")
			path, _ := value(b, "PATH")
			if b.base.source != fromInteractive || !strings.HasPrefix(path, home+"/manager/bin:") || !b.Has("ANTHROPIC_API_KEY") {
				t.Errorf("from %s: PATH=%s", b.base.source, path)
			}
			if w := e.Warnings(); w != nil {
				t.Errorf("warnings %q", w)
			}
			if b := ofTeam(t, e, "sh"); b.base.source != fromLogin {
				t.Errorf("for a program that the login shell finds: from %s", b.base.source)
			}
		})
	}
}

func TestInteractiveShellIsNotAskedWithoutNeed(t *testing.T) {
	home := shells(t, `echo "$1" >> ~/asked; `+good)
	e, wait := asked(t)
	defer wait()
	ofTeam(t, e, "sh")
	ofTeam(t, e, "/no/such/program")
	built(t, e, config.Settings{Command: []string{"no-such-program"}, Env: map[string]string{"PATH": "/own"}})
	if _, err := e.Build(t.Context(), &config.Team{Agent: "echo", Settings: config.Settings{Command: []string{"no-such-program"}}}, ""); err != nil {
		t.Fatal(err)
	}
	if how, _ := os.ReadFile(filepath.Join(home, "asked")); string(how) != "-lc\n" {
		t.Errorf("asked %q", how)
	}
	ofTeam(t, e, "no-such-program")
	ofTeam(t, e, "no-such-program")
	if how, _ := os.ReadFile(filepath.Join(home, "asked")); string(how) != "-lc\n-lic\n" {
		t.Errorf("for a program that is not found: asked %q", how)
	}
}

func TestCauseOfAFailedLoginShellIsSaid(t *testing.T) {
	for script, want := range map[string]string{
		"echo first >&2; echo '  broken  profile' >&2; exit 3": "it did not run the command (exit status 3): broken profile; run: iris daemon reload",
		"kill -9 $$": "it did not run the command (signal: killed); run: iris daemon reload",
		"echo 'bash: no job control in this shell' >&2": "it did not run the command (exit status 0); run: iris daemon reload",
	} {
		shells(t, script)
		e, wait := asked(t)
		b := ofTeam(t, e, "sh")
		if path, _ := value(b, "PATH"); !strings.HasPrefix(path, fallbackPath) || b.base.source != fromGuess {
			t.Errorf("%s: PATH=%s from %s", script, path, b.base.source)
		}
		if w := e.Warnings(); len(w) != 1 || !strings.HasSuffix(w[0], want) || !strings.Contains(w[0], passwdShell()+" -lc") {
			t.Errorf("%s: got warnings %q, want one with %q", script, w, want)
		}
		wait()
	}
}

func TestLoginShellThatFailedIsAskedAgain(t *testing.T) {
	home := shells(t, "exit 1")
	e, wait := asked(t)
	defer wait()
	if b := ofTeam(t, e, "sh"); b.base.source != fromGuess {
		t.Errorf("from %s", b.base.source)
	}
	shellDoes(t, home, good)
	if b := ofTeam(t, e, "sh"); b.base.source != fromLogin || e.Warnings() != nil {
		t.Errorf("at the next start: from %s, warnings %q", b.base.source, e.Warnings())
	}
	shellDoes(t, home, "exit 1")
	e.Refresh()
	if b := ofTeam(t, e, "sh"); b.base.source != fromLogin || len(e.Warnings()) != 1 {
		t.Errorf("after a failed reload: from %s, warnings %q", b.base.source, e.Warnings())
	}
}

// Each start of the daemon would leave one more background process of the profile. A daemon
// stays; it may keep the shell's output open for ever.
func TestBackgroundOfAProfileEndsWithTheShell(t *testing.T) {
	systest.Needs(t, "bash")
	systest.Needs(t, "setsid")
	const stays = "sh -c 'echo $$ > ~/daemon; exec sleep 600'"
	home := shells(t, "sleep 600 & echo $! > ~/child\nbash -c 'set -m; sleep 600 & echo $! > ~/group'\nsetsid "+stays+" &\nuntil [ -s ~/daemon ]; do sleep 0.01; done\n"+good)
	e, wait := asked(t)
	defer wait()
	b := ofTeam(t, e, "sh")
	for name, lives := range map[string]bool{"child": false, "group": false, "daemon": true} {
		text, _ := os.ReadFile(filepath.Join(home, name))
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		p := procs.Identify(pid)
		if got := p.Alive(); got != lives {
			t.Errorf("the %s lives: %v, want %v", name, got, lives)
		}
		p.Signal(syscall.SIGKILL)
	}
	if b.base.source != fromLogin || e.Warnings() != nil {
		t.Errorf("from %s, warnings %q", b.base.source, e.Warnings())
	}
}

func TestEndOfTheDaemonEndsTheLoginShell(t *testing.T) {
	shells(t, "exec sleep 600")
	_, wait := asked(t)
	wait()
}
