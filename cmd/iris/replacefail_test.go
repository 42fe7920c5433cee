//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// script writes a shell script that a daemon is to be replaced by; $1 and so on
// are its arguments, TRY is 1 when it is being tried.
func (i *inn) script(text string) string {
	i.t.Helper()
	path := filepath.Join(i.t.TempDir(), "program")
	text = "#!/bin/sh\ncase \"$*\" in *--try*) TRY=1;; *) TRY=0;; esac\n" + text + "\n"
	if err := writeProgram(path, text, 0o700); err != nil {
		i.t.Fatal(err)
	}
	return path
}

// endsWith starts a new daemon after a replacement has ended the old one, and checks
// that the message which ran meanwhile, and ends when open is called, has its answer,
// once.
func (i *inn) endsWith(pid int, open func(), id, word string) {
	i.t.Helper()
	i.eventually("the end of the daemon", func() bool { return syscall.Kill(pid, 0) != nil })
	open()
	i.run("status")
	if got := i.answer(id); !strings.Contains(got, word) {
		i.t.Errorf("got %q", got)
	}
	if got := i.begun(); len(got) != 2 {
		i.t.Errorf("begun %q", got)
	}
}

// A program that passes its trial but then cannot be run ends the daemon, but no
// turn.
func TestProgramThatFailsAfterItsTrialCostsNoTurn(t *testing.T) {
	t.Parallel()
	for name, program := range map[string]string{
		"broken":  `[ $TRY = 1 ] && echo handover 1 && exit; exit 1`,
		"killed":  `[ $TRY = 1 ] && echo handover 1 && exit; kill -9 $$`,
		"refuses": `[ $TRY = 1 ] && echo handover 1 && exit; exec IRIS daemon --max-processes none`,
		"late": `[ $TRY = 1 ] && echo handover 1 && exit; exec 9<>"$XDG_STATE_HOME/iris/journal"; flock 9
			(until test -e GATE; do sleep 0.05; done) & exec 9>&-; exec IRIS "$@"`, // when it has the agents
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newInn(t, "", "a", "b")
			i.ask("b", "echo:idle")
			gate, open := i.gate()
			id := i.submit("a", "slow:10:@"+gate)
			i.awaitBegun("slow:10:@" + gate)
			pid := i.status().PID
			_, err := tell[struct{}](i, ipc.MethodReplace, ipc.Restart{Program: i.script(strings.NewReplacer("IRIS", i.iris, "GATE", gate).Replace(program))})
			if !lost(err) {
				t.Errorf("got %v", err)
			}
			i.endsWith(pid, open, id, "d9")
			if got := i.ask("b", "count"); got != "2" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// What is put in the place of a program after its trial was not tried, and does not run.
func TestProgramThatWasTriedIsTheOneThatRuns(t *testing.T) {
	t.Parallel()
	i := newInn(t, "", "a")
	i.ask("a", "echo:one")
	pid := i.status().PID
	other := i.script("exit 1")
	program := i.script(`[ $TRY = 1 ] && mv ` + other + ` "$PROGRAM"; exec ` + i.iris + ` "$@"`)
	text, err := os.ReadFile(program)
	if err == nil {
		err = writeProgram(program, strings.ReplaceAll(string(text), "$PROGRAM", program), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tell[struct{}](i, ipc.MethodReplace, ipc.Restart{Program: program}); !lost(err) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("nothing was put in its place")
	}
	if st := i.status(); st.PID != pid || st.Generation != 2 {
		t.Errorf("got pid %d, generation %d, want %d and 2", st.PID, st.Generation, pid)
	}
	if got := i.ask("a", "count"); got != "2" {
		t.Errorf("got %q", got)
	}
}

// A new image that does not get the state of the old one is a new daemon, in the same
// process.
func TestProgramWithoutItsHandoffRecovers(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{
		"none":  `daemon`,
		"other": `daemon --takeover-fd 0`,
		"wrong": `daemon --takeover-fd 999`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newInn(t, "", "a", "b")
			i.ask("b", "echo:idle")
			gate, open := i.gate()
			id := i.submit("a", "slow:10:@"+gate)
			waits := i.submit("a", "echo:waits")
			i.awaitBegun("slow:10:@" + gate)
			pid := i.status().PID
			program := i.script(`[ $TRY = 1 ] && exec ` + i.iris + ` "$@"; exec ` + i.iris + ` ` + args)
			if _, err := tell[struct{}](i, ipc.MethodReplace, ipc.Restart{Program: program}); !lost(err) {
				t.Errorf("got %v", err)
			}
			i.eventually("the daemon", func() bool { st, err := tell[ipc.Status](i, ipc.MethodStatus, nil); return err == nil && st.PID == pid })
			open()
			if got := i.answer(id); !strings.Contains(got, "d9") {
				t.Errorf("got %q", got)
			}
			if got := i.answer(waits); got != "waits" {
				t.Errorf("got %q", got)
			}
			if got := i.ask("b", "count"); got != "2" {
				t.Errorf("got %q", got)
			}
			if got := i.begun(); len(got) != 4 {
				t.Errorf("begun %q", got)
			}
		})
	}
}

func TestReplacementIsRefusedWhileAnAgentStarts(t *testing.T) {
	t.Parallel() // it waits
	i := newInn(t, "", "a")
	gate, open := i.gate()
	slow := fmt.Sprintf("[teams.slow]\ndir = %q\ncommand = %q\nargs = [%q]\n", t.TempDir(), claudetest.Install(t.TempDir()), "--fake-slow-start=@"+gate)
	file := filepath.Join(i.dir, "config", "iris", "config.toml")
	have, _ := os.ReadFile(file)
	if err := os.WriteFile(file, append(have, slow...), 0o600); err != nil {
		t.Fatal(err)
	}
	i.run("daemon", "reload")
	i.ask("a", "echo:x")
	id := i.submit("slow", "echo:started")
	i.eventually("the start", func() bool { return i.ps()["slow@"].State == "starting" })
	err := i.replace(i.iris)
	var wire *ipc.Error
	if !errors.As(err, &wire) || !strings.Contains(wire.Message, "slow is starting") {
		t.Errorf("got %v", err)
	}
	open()
	if got := i.answer(id); got != "started" {
		t.Errorf("got %q", got)
	}
	i.mustReplace()
	if got := i.ask("slow", "count"); got != "2" {
		t.Errorf("got %q", got)
	}
}

// A command that the daemon has started ends before its program is replaced: the next
// one would not know of it, and let it stay for ever. The next one starts the commands of the
// events that wait.
func TestReplacementWaitsForTheDaemonsOwnCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	notifier := filepath.Join(dir, "notify")
	script := fmt.Sprintf("#!/bin/sh\necho >%s/$IRIS_MESSAGE.begun; sleep 3; echo >>%[1]s/$IRIS_MESSAGE.ended\n", dir)
	if err := writeProgram(notifier, script, 0o700); err != nil {
		t.Fatal(err)
	}
	count := func(which string) int { names, _ := filepath.Glob(filepath.Join(dir, which)); return len(names) }
	i := newInn(t, fmt.Sprintf("notify = [%q]\nnotify_on = [\"done\"]", notifier), "a")
	var ids []string
	for n := range 6 {
		ids = append(ids, i.submit("a", "echo:x"))
		i.eventually("the command", func() bool { return count("*.begun") >= min(n+1, 4) })
	}
	begun := count("*.begun")
	i.mustReplace()
	if ended := count("*.ended"); ended < begun {
		t.Errorf("the program was replaced while its commands ran: %d of %d have ended", ended, begun)
	}
	i.eventually("the other commands", func() bool { return count("*.ended") == 6 })
	for _, id := range ids {
		if ended, _ := os.ReadFile(filepath.Join(dir, id+".ended")); string(ended) != "\n" {
			t.Errorf("the command for %s has ended %d times", id, len(ended))
		}
	}
}

// Agents that die while the program is being replaced have died for the new one
// too.
func TestAgentsThatDieMeanwhileAreNoticed(t *testing.T) {
	t.Parallel()
	i := newInn(t, "", "a", "b")
	for n := range 6 {
		i.ask("a", "echo:x")
		id := i.submit("b", "hang")
		i.eventually("the turn", func() bool { return len(i.begun()) == 2*(n+1) })
		var pids []int
		for _, p := range i.ps() {
			pids = append(pids, p.PID)
		}
		done := make(chan struct{})
		time.AfterFunc(time.Duration(n*8)*time.Millisecond, func() {
			defer close(done)
			for _, pid := range pids {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		})
		i.mustReplace()
		<-done
		var end ipc.MessageState
		for {
			var err error
			end, err = tell[ipc.MessageState](i, ipc.MethodWait, ipc.Wait{IDs: []string{id}})
			if err == nil {
				break
			} else if !lost(err) {
				t.Fatal(err)
			}
		}
		if end.State != "unknown" {
			t.Errorf("round %d: %+v", n, end)
		}
		i.eventually("the end of both", func() bool {
			return !slices.ContainsFunc(pids, func(pid int) bool { return syscall.Kill(pid, 0) == nil })
		})
	}
}
