package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iris/pool/claude"
	"iris/pool/procs"
)

// A parlor is a house with a team of the real Claude Code, in whose conversation a person
// can sit down.
type parlor struct {
	*testing.T
	*house
	real *real
}

func newParlor(t *testing.T) *parlor {
	t.Parallel()
	p := &parlor{T: t, real: newReal(t), house: newHouse(t, irisPath(t), "")}
	dir := p.mkdir("project")
	p.configure(p.real.team(p.house, "real", dir))
	known := map[string]any{ // as for somebody who has used it in this directory
		"hasCompletedOnboarding": true, "theme": "dark", "customApiKeyResponses": map[string]any{"approved": []string{"dummy"}},
		"projects": map[string]any{dir: map[string]any{"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true}},
	}
	text, _ := json.Marshal(known)
	if err := os.WriteFile(filepath.Join(p.dir, ".claude.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// opens runs a command on a terminal, and waits for the prompt of Claude Code.
func (p *parlor) opens(cmd *exec.Cmd) *pty {
	p.T.Helper()
	tty := onTerminal(p.T, cmd, 100, 30)
	tty.shows("❯")
	return tty
}

func (p *parlor) sitsDown(args ...string) *pty {
	p.T.Helper()
	return p.opens(p.command(append([]string{"attach"}, args...)...))
}

// says types a message, and waits until the transcript has its answer, "echo:" excluded.
func (p *parlor) says(tty *pty, text string) {
	p.T.Helper()
	p.types(tty, "echo:"+text, func() bool { return p.kept(text) })
}

// types types a line, until done reports that it was taken. Claude Code takes an end of line
// that comes with text for a paste, and reads nothing while it starts.
func (p *parlor) types(tty *pty, text string, done func() bool) {
	p.T.Helper()
	tty.types(text)
	for end := time.Now().Add(longEnough); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("%q was not taken: %q", text, tty.output())
		}
		time.Sleep(time.Second)
		tty.types("\r")
	}
}

// kept reports whether a transcript has that answer.
func (p *parlor) kept(answer string) bool {
	files, _ := filepath.Glob(filepath.Join(p.dir, ".claude/projects/*/*.jsonl"))
	return slices.ContainsFunc(files, func(file string) bool {
		text, _ := os.ReadFile(file)
		return strings.Contains(string(text), fmt.Sprintf(`"text":%q`, answer))
	})
}

func (p *parlor) eventually(what string, f func() bool) {
	p.T.Helper()
	for end := time.Now().Add(longEnough); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("%s did not come", what)
		}
	}
}

// knows checks that the next message knows these texts, in this order, and sends none of
// its own.
func (p *parlor) knows(texts ...string) {
	p.T.Helper()
	var all, said []string
	if err := json.Unmarshal([]byte(p.house.run("send", "real", "dump")), &all); err != nil {
		p.Fatal(err)
	}
	for _, text := range all {
		if text, ok := strings.CutPrefix(text, "echo:"); ok {
			said = append(said, text)
		}
	}
	if !slices.Equal(said, texts) {
		p.Errorf("the conversation has %q, want %q", said, texts)
	}
}

// want runs a command and checks its status and that stderr has those words.
func (p *parlor) want(status int, words string, args ...string) {
	p.T.Helper()
	cmd := p.command(args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != status || !strings.Contains(errs.String(), words) {
		p.Errorf("iris %s: status %d, want %d; stderr %q, want %q", strings.Join(args, " "), got, status, errs.String(), words)
	}
}

// queued sends a message that waits for the terminal, and returns its id.
func (p *parlor) queued(text string) string {
	p.T.Helper()
	id := strings.TrimSpace(p.house.run("send", "--detach", "real", "echo:"+text))
	if said := p.house.run("messages", "--state", "queued"); !strings.Contains(said, "it waits for somebody to leave the conversation (iris attach, pid ") {
		p.Errorf("got %s", said)
	}
	return id
}

// child returns the program of a terminal.
func (p *parlor) child(tty *pty) int {
	p.T.Helper()
	of := strconv.Itoa(tty.cmd.Process.Pid)
	text, _ := os.ReadFile("/proc/" + of + "/task/" + of + "/children")
	all := strings.Fields(string(text))
	for _, task := range must(filepath.Glob("/proc/" + of + "/task/*/children")) {
		text, _ := os.ReadFile(task)
		all = append(all, strings.Fields(string(text))...)
	}
	if len(all) == 0 {
		p.Fatal("the terminal has no program")
	}
	return must(strconv.Atoi(all[0]))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestRealConversationGoesOnInATerminal(t *testing.T) {
	p := newParlor(t)
	p.house.run("send", "real", "echo:one")
	tty := p.sitsDown("real")
	p.says(tty, "two")
	if list := p.house.run("session", "ls"); !strings.Contains(list, "ATTACHED") || !strings.Contains(list, "pid "+strconv.Itoa(tty.cmd.Process.Pid)) {
		t.Errorf("the sessions do not say who has one: %s", list)
	}
	id := p.queued("three")
	p.want(75, "is busy", "send", "--if-busy", "fail", "real", "echo:no")
	p.want(75, "somebody has its conversation in a terminal", "session", "reset", "real")
	p.want(75, "somebody has its conversation in a terminal", "team", "rename", "real", "other")
	second := onTerminal(t, p.command("attach", "real"), 100, 30)
	if status, out := second.ends(); status != 75 || !strings.Contains(out, "in a terminal (iris attach, pid "+strconv.Itoa(tty.cmd.Process.Pid)+")") {
		t.Errorf("a second terminal: status %d, %q", status, out)
	}
	p.leaves(tty)
	if status, _ := tty.ends(); status != 0 {
		t.Errorf("got status %d, want that of Claude Code", status)
	}
	if got := p.house.run("wait", id); got != "three\n" {
		t.Errorf("the message that waited: %q", got)
	}
	p.knows("one", "two", "three")

	p.house.run("session", "rewind", "real")
	rewound := onTerminal(t, p.command("attach", "real"), 100, 30)
	if status, out := rewound.ends(); status != 75 || !strings.Contains(out, "its conversation was rewound") {
		t.Errorf("a rewound conversation: status %d, %q", status, out)
	}
	p.knows("one", "two", "three")
}

const anyStatus = -2

// However the terminal ends, the conversation is free again, and has what was said there.
func TestRealTerminalEndsInAnyWay(t *testing.T) {
	for _, c := range []struct {
		name   string
		ends   func(p *parlor, tty *pty)
		status int      // of iris attach
		more   []string // that wait, too
	}{
		{"the program is killed", func(p *parlor, tty *pty) { syscall.Kill(p.child(tty), syscall.SIGKILL) }, 128 + 9, nil},
		{"the program is told to end", func(_ *parlor, tty *pty) { tty.cmd.Process.Signal(syscall.SIGTERM) }, 128 + 15, nil},
		{"iris attach is killed", func(_ *parlor, tty *pty) { tty.cmd.Process.Kill() }, -1, nil},
		{"the terminal hangs up", func(_ *parlor, tty *pty) { tty.master.Close() }, anyStatus, nil}, // it sees the signal or the end of its input
		{"the daemon is killed, then the program is left", func(p *parlor, tty *pty) {
			syscall.Kill(p.daemon(), syscall.SIGKILL)
			p.leaves(tty)
		}, 0, nil},
		{"the daemon is killed, and another one starts", func(p *parlor, tty *pty) {
			syscall.Kill(p.daemon(), syscall.SIGKILL)
			p.queued("meanwhile")
			p.leaves(tty)
		}, 0, []string{"meanwhile"}},
		{"the daemon is replaced, and the program is left", func(p *parlor, tty *pty) {
			p.house.run("daemon", "restart")
			p.queued("meanwhile")
			p.leaves(tty)
		}, 0, []string{"meanwhile"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParlor(t)
			p.house.run("send", "real", "echo:one")
			tty := p.sitsDown("real")
			p.says(tty, "two")
			id := p.queued("three")
			c.ends(p, tty)
			if status, out := tty.ends(); status != c.status && c.status != anyStatus {
				t.Errorf("got status %d, want %d: %q", status, c.status, out)
			}
			if got := p.house.run("wait", id); got != "three\n" {
				t.Errorf("the message that waited: %q", got)
			}
			p.knows(append([]string{"one", "two", "three"}, c.more...)...)
			if c.status >= 0 && !echoes(tty) {
				t.Error("the terminal is not as it was before")
			}
		})
	}
}

// echoes reports whether a terminal shows what is typed, as a shell has it.
func echoes(tty *pty) bool {
	mode, err := unix.IoctlGetTermios(int(tty.master.Fd()), unix.TCGETS)
	return err == nil && mode.Lflag&(unix.ECHO|unix.ICANON) == unix.ECHO|unix.ICANON
}

func (p *parlor) daemon() int {
	p.T.Helper()
	var st struct{ PID int }
	if err := json.Unmarshal([]byte(p.house.run("daemon", "status", "--json")), &st); err != nil {
		p.Fatal(err)
	}
	return st.PID
}

// leaves has Claude Code end.
func (p *parlor) leaves(tty *pty) {
	p.T.Helper()
	child := p.child(tty)
	p.types(tty, "/exit", func() bool { return procs.Mark(child) == "" })
}

// begun sends a message, and returns its id when its turn runs.
func (p *parlor) begun(text string) (id string) {
	p.T.Helper()
	id = strings.TrimSpace(p.house.run("send", "--detach", "real", text))
	p.eventually("the turn", func() bool { return strings.Contains(p.house.run("show", id, "--json"), `"state":"running"`) })
	return id
}

func TestRealTerminalWaitsForTheTurn(t *testing.T) {
	p := newParlor(t)
	gate := filepath.Join(p.dir, "gate")
	id := p.begun("after:@" + gate + ":echo:one")
	tty := onTerminal(t, p.command("attach", "real"), 100, 30)
	tty.shows("real: waits for the turn of message " + id)
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tty.shows("❯")
	if got := p.house.run("result", id); got != "one\n" {
		t.Errorf("the message under way: %q", got)
	}
	p.says(tty, "two")
	p.leaves(tty)
	p.knows("two")
}

func TestRealTerminalInterruptsTheTurn(t *testing.T) {
	p := newParlor(t)
	p.house.run("send", "real", "echo:one")
	id := p.begun("hang")
	tty := p.sitsDown("--now", "real")
	p.want(5, "", "wait", id)
	p.says(tty, "two")
	p.leaves(tty)
	p.knows("one", "two")
}

func TestRealWaitForATerminalIsGivenUp(t *testing.T) {
	p := newParlor(t)
	gate := filepath.Join(p.dir, "gate")
	p.house.run("send", "real", "echo:one")
	id := p.begun("after:@" + gate + ":echo:two")
	tty := onTerminal(t, p.command("attach", "real"), 100, 30)
	tty.shows("waits for the turn")
	tty.types("\x03")
	if status, out := tty.ends(); status != 130 || !strings.Contains(out, "not attached: the wait was interrupted") {
		t.Errorf("got status %d, %q", status, out)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.house.run("wait", id)
	p.knows("one")
}

func TestRealCopyHoldsNothing(t *testing.T) {
	p := newParlor(t)
	p.house.run("send", "real", "echo:one")
	tty := p.sitsDown("--fork", "real")
	p.says(tty, "two")
	p.knows("one")
	p.leaves(tty)
	p.knows("one")
}

func TestRealTerminalIsLeftInAnotherSession(t *testing.T) {
	p := newParlor(t)
	p.house.run("send", "real", "echo:one")
	before := p.session()
	tty := p.sitsDown("real")
	p.says(tty, "two")
	child := p.child(tty)
	p.types(tty, "/clear", func() bool { return claude.SessionOf(filepath.Join(p.dir, ".claude"), child) != before })
	p.says(tty, "three")
	p.leaves(tty)
	p.knows("three")
	if p.session() == before {
		t.Error("the session is the one before /clear")
	}
}
