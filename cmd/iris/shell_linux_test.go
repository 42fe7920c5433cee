package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iris/config/sys/systest"
)

// The scripts are tried in the shells themselves, at a terminal: how a shell
// splits a line into words is no part of a script, and "@" and "=" split some.
// PowerShell is not among Debian's packages; its script is cobra's unchanged.

// shells says how a shell begins with nothing of the user's, with "> " for its
// prompt.
var shells = map[string]struct{ start, load string }{
	"bash": {"bash --norc --noprofile", "PS1='> '; . <(iris completion bash)"}, // without the package bash-completion
	"zsh":  {"zsh -f", "PROMPT='> '; autoload -U compinit; compinit -u; source <(iris completion zsh)"},
	"fish": {"fish --no-config", "function fish_prompt; echo '> '; end; iris completion fish | source"},
}

// completed are lines as they are typed before the Tab, and after it.
var completed = []struct{ typed, want string }{
	{"iris vers", "iris version"},
	{"iris send ap", "iris send api"},
	{"iris send echo@rev", "iris send echo@review"},
	{"iris messages --state fai", "iris messages --state failed"},
	{"iris messages --state queued,fai", "iris messages --state queued,failed"},
	{"iris send --if-busy=sk", "iris send --if-busy=skip"},
	{"iris send --on-unknown ho", "iris send --on-unknown hold"},
	{"iris daemon sto", "iris daemon stop"},
	{"iris kill api ech", "iris kill api echo"},
	{"iris send api look at @sho", "iris send api look at @shot.png"},
	{"iris send api @pictures/on", "iris send api @pictures/one.png"},
	{"iris send api @pict", "iris send api @pictures"},
	{"iris send --json-schema @sho", "iris send --json-schema @shot.png"},
	{"iris send -f sho", "iris send -f shot.png"},
	{"iris send ./pict", "iris send ./pictures"},
	{"iris show ID", "iris show MESSAGE"}, // the beginning of an id, and all of it
}

func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	for shell, how := range shells {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			systest.Needs(t, shell, "tmux")
			if shell == "bash" {
				systest.NeedsFile(t, "/usr/share/bash-completion/bash_completion", "bash-completion")
			}
			h, id := completionHouse(t)
			s := h.pane(how.start)
			s.load(how.load)
			for _, c := range completed {
				typed := strings.ReplaceAll(c.typed, "ID", id[:len(id)-1])
				s.complete(typed, strings.ReplaceAll(c.want, "MESSAGE", id))
			}
			h.run("daemon", "stop")
			// No daemon, nothing to offer, and not a word about it.
			s.complete("iris show "+id[:len(id)-1], "iris show "+id[:len(id)-1])
			s.complete("iris send ap", "iris send api")
			for end := time.Now().Add(longEnough); ; time.Sleep(20 * time.Millisecond) {
				daemon := slices.ContainsFunc(processesOf(h.dir), func(p string) bool { return strings.Contains(p, "iris daemon") })
				if !daemon {
					break // also the one that was to stop
				}
				if time.Now().After(end) {
					t.Fatal("completion has started a daemon")
				}
			}
		})
	}
}

// completionHouse has two teams, a session and one message.
func completionHouse(t *testing.T) (h *house, id string) {
	h = newHouse(t, irisPath(t), "[teams.api]\ndir = \"/\"\nagent = \"echo\"\ndescription = \"the API\"\n")
	h.run("send", "echo@review", "hello")
	id = strings.TrimSpace(h.run("messages", "-q"))
	for _, name := range []string{"shot.png", "pictures/one.png"} {
		path := filepath.Join(h.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return h, id
}

// A pane is a terminal of tmux with a program in it.
type pane struct {
	t      *testing.T
	tmux   func(args ...string) *exec.Cmd
	loaded int // commands
}

// pane starts a program in a terminal of 120 columns.
func (h *house) pane(program string) *pane {
	t := h.b.(*testing.T)
	socket := filepath.Join(h.dir, "tmux")
	tmux := func(args ...string) *exec.Cmd {
		cmd := exec.Command("tmux", append([]string{"-u", "-S", socket, "-f", "/dev/null"}, args...)...)
		cmd.Env = append(slices.Clone(h.env), "TERM=xterm", "LANG=C.UTF-8", "GORACE="+os.Getenv("GORACE"))
		for i, kv := range cmd.Env {
			if strings.HasPrefix(kv, "PATH=") {
				cmd.Env[i] = "PATH=" + filepath.Dir(h.iris) + ":" + kv[len("PATH="):]
			}
		}
		return cmd
	}
	run(t, tmux("new-session", "-d", "-c", h.dir, "-x", "120", "-y", "30", program))
	t.Cleanup(func() { run(t, tmux("kill-server")) })
	return &pane{t: t, tmux: tmux}
}

// keys presses keys; text is typed with "-l" before it.
func (s *pane) keys(keys ...string) {
	s.t.Helper()
	run(s.t, s.tmux(append([]string{"send-keys"}, keys...)...))
}

// screen is what stands there, without the empty lines at its end.
func (s *pane) screen() string {
	s.t.Helper()
	return strings.TrimRight(run(s.t, s.tmux("capture-pane", "-p")), "\n")
}

// shows waits until the last line that begins with a prompt satisfies want.
func (s *pane) shows(what string, want func(line string) bool) {
	s.t.Helper()
	s.waits(what, func(lines []string) bool {
		lines = slices.DeleteFunc(lines, func(l string) bool { return !strings.HasPrefix(l, ">") })
		return len(lines) > 0 && want(strings.TrimRight(strings.TrimPrefix(lines[len(lines)-1], "> "), " >"))
	})
}

// waits waits until the screen satisfies want.
func (s *pane) waits(what string, want func(lines []string) bool) {
	s.t.Helper()
	for end := time.Now().Add(longEnough); ; time.Sleep(20 * time.Millisecond) {
		screen := s.screen()
		if want(strings.Split(screen, "\n")) {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s is not to be seen in\n%s", what, screen)
		}
	}
}

// load types a command and returns when it is done and nothing else is to be seen.
func (s *pane) load(command string) {
	s.t.Helper()
	s.loaded++
	done := fmt.Sprintf("loaded %d", s.loaded)
	s.keys("-l", command+"; clear; echo "+done)
	s.keys("Enter")
	s.waits(done, func(lines []string) bool {
		return len(lines) == 2 && lines[0] == done && strings.Trim(lines[1], "> ") == ""
	})
}

// complete types the beginning of a line and Tab, and checks that it becomes line.
func (s *pane) complete(typed, line string) {
	s.t.Helper()
	s.keys("-l", typed)
	s.shows(typed, func(l string) bool { return strings.HasPrefix(l, typed) })
	s.keys("Tab")
	s.keys("-l", "|") // what the shell has added before it
	s.shows(line+" after Tab", func(l string) bool {
		l = strings.ReplaceAll(l, `\,`, ",") // bash quotes it, which does no harm
		l = strings.Replace(l, "/|", "|", 1) // zsh takes the slash of a directory away again
		return strings.HasPrefix(l, line) && strings.TrimSpace(strings.TrimPrefix(l, line)) == "|"
	})
	looks := 0
	s.shows("a prompt without that line", func(line string) bool {
		if looks%100 == 0 && line != "" {
			s.keys("C-c") // again where that has ended only what the shell was about just then
		}
		looks++
		return line == ""
	})
	s.load(":")
}
