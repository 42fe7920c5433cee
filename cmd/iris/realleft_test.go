//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"iris/config/sys/systest"
	"iris/ipc"
)

func TestRealTurnsAreLeftToTheirAgents(t *testing.T) {
	t.Parallel()
	k := newKilling(t, "", working...)
	k.open()
	k.remembered("", working...) // they are warm now
	gate, open := k.gate()
	tool := k.longer(k.message("t1", "", "tool"), "sleep 2", untilOpen(gate))
	all := []*sent{k.say("t0", "stream"), tool, k.say("t2", "large"), k.say("t3", "background")}
	k.asked(all...)
	k.sleeps("sleep 0.05")
	all = append(all, k.say("t1", "echo"))
	c, err := ipc.Dial(context.Background(), k.socket, ipc.Hello{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Call(context.Background(), ipc.MethodStop, ipc.StopParams{Force: true, LeaveTurns: true}, nil); err != nil {
		t.Fatal(err)
	}
	k.until("the end of the daemon", func() bool { return len(k.daemons()) == 0 })
	k.look(k.agents())
	open()
	k.next()
	k.settled(all...)
	k.remembered("", working...)
	k.end()
	if k.late["settled"] == 0 {
		t.Error("every turn was over before the daemon was")
	}
}

// sleeps waits until a tool has come to that command.
func (k *killing) sleeps(command string) {
	k.T.Helper()
	k.until("the tool", func() bool {
		return slices.ContainsFunc(processesOf(k.dir), func(p string) bool { return strings.HasSuffix(p, ": "+command+" ") })
	})
}

// An agent that the model leaves without an answer would stay for ever, with the
// task that it has in the background; and so would one whose tool hangs. That
// tool it would leave behind.
func TestRealHangingOrphanIsEnded(t *testing.T) {
	t.Parallel()
	k := newKilling(t, "orphan_timeout = \"300ms\"\nstop_grace = \"1s\"", "t0", "t1")
	k.open()
	k.settled(k.longer(k.message("t0", "", "background"), "sleep 1", "true; sleep 300"))
	model := k.say("t0", "hang")
	tool := k.longer(k.message("t1", "", "tool"), "sleep 2", "true; sleep 301")
	k.asked(model, tool)
	k.sleeps("sleep 300")
	k.sleeps("sleep 301")
	k.kill()
	if k.at["asking the model"] != 1 || k.at["in a tool"] != 1 {
		t.Errorf("the agents do not hang: %v", k.at)
	}
	k.next()
	k.lost(model)
	if _, text, err := k.reply(tool); err != nil || text != "tool said: Exit code 137" { // that its agent had the time to tell the model
		k.lost(tool)
	}
	k.until("the end of the tools", func() bool { return len(processesOf(k.dir)) == 1 })
	k.settled(k.say("t0", "echo"), k.say("t1", "echo"))
	k.end()
}

// longer submits a message that lasts longer than others of its kind.
func (k *killing) longer(m *sent, old, new string) *sent {
	m.text = strings.Replace(m.text, old, new, 1)
	k.submit(m)
	return m
}

func TestRealAgentKilledWithItsDaemonIsUnknown(t *testing.T) {
	t.Parallel()
	k := newKilling(t, "", "t0", "t1")
	k.open()
	k.remembered("", "t0")
	first := k.agents()
	killed := k.say("t0", "hang")
	k.asked(killed)
	k.remembered("", "t1")
	spared := k.say("t1", "stream")
	k.asked(spared)
	k.kill()
	for pid := range first {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	k.next()
	k.lost(killed)
	k.settled(spared, k.say("t0", "echo"))
	k.end()
}

// A message that its agent has not read when the daemon dies is run by that
// agent, or by another one when that is dead. The agents are stopped, so that
// they do not read, until the daemon dies.
func TestRealUnreadMessageIsRunOnce(t *testing.T) {
	t.Parallel()
	k := newKilling(t, "", "t0", "t1")
	k.open()
	k.remembered("", "t0", "t1")
	var list ipc.ProcessList
	k.mustCall(ipc.MethodList, struct{}{}, &list)
	k.until("the transcripts on disk, which are late", func() bool { return k.told("dump:") == 2 })
	k.rests()
	pids := map[string]int{}
	for _, p := range list.Processes {
		pids[p.Team] = p.PID
		k.stopProcess(p.PID)
	}
	read, unread := k.say("t0", "echo"), k.say("t1", "echo")
	k.until("the dispatch", func() bool {
		var st ipc.Status
		k.mustCall(ipc.MethodStatus, struct{}{}, &st)
		return st.Journal.Running == 2
	})
	k.until("the lines in their pipes", func() bool { return lineWaits(t, pids["t0"]) && lineWaits(t, pids["t1"]) })
	for _, pid := range k.daemons() {
		k.stopProcess(pid) // it does not see the agent die
	}
	syscall.Kill(pids["t1"], syscall.SIGKILL)
	k.kill() // this continues the other agent
	k.next()
	k.settled(read, unread)
	k.remembered("", "t0", "t1")
	k.end()
	if k.late["settled"] != 1 || k.late["put back"] != 1 {
		t.Errorf("settled and put back: %v, want one each", k.late)
	}
}

// stopProcess sends SIGSTOP and waits until every thread has stopped.
func (k *killing) stopProcess(pid int) {
	k.T.Helper()
	syscall.Kill(pid, syscall.SIGSTOP)
	k.until("the stop of every thread", func() bool {
		states, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		return !slices.ContainsFunc(states, func(path string) bool {
			b, err := os.ReadFile(path)
			return err == nil && !strings.Contains(string(b), "State:\tT (stopped)")
		})
	})
}

// told counts the conversations of the house that have an answer to a message that
// begins so.
func (k *killing) told(message string) (n int) {
	paths, _ := filepath.Glob(k.dir + "/.claude/projects/*/*.jsonl")
	for _, path := range paths {
		b, _ := os.ReadFile(path)
		_, after, found := strings.Cut(string(b), `"content":"`+message)
		if found && strings.Contains(after, `"type":"assistant"`) {
			n++
		}
	}
	return n
}

// rests waits until every agent has said that it is idle, which it may do after its
// answer is on disk. Before, it is given no message.
func (k *killing) rests() {
	k.T.Helper()
	k.until("the end of the turns", func() bool {
		return !slices.ContainsFunc(k.spools(), func(path string) bool { return doing(path) != "idle" })
	})
}

// lineWaits reports whether a whole line waits in the standard input of a process.
func lineWaits(t *testing.T, pid int) bool {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/fd/0", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ)
	return err == nil && n > 0 // a line is written in one piece
}

// The disk is full from the middle of a turn on. Room for the answer was reserved
// before; the room reserved at the agent's start is used up.
func TestRealAnswerFindsItsRoomOnAFullDisk(t *testing.T) {
	systest.NeedsRoot(t) // to mount
	t.Parallel()
	k := newKilling(t, "", "t0")
	state := filepath.Join(k.dir, "state")
	if err := syscall.Mount("tmpfs", state, "tmpfs", 0, "size=16m,mode=700"); err != nil {
		t.Skipf("SKIPPED: needs a small disk that can be mounted: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(state, unix.MNT_DETACH) })
	k.open()
	for range 3 {
		k.settled(k.say("t0", "large"))
	}
	m := k.say("t0", "large")
	k.asked(m)
	fill := filepath.Join(state, "fill")
	if err := fillDisk(fill); err != nil {
		t.Fatal(err)
	}
	k.kill()
	// Its lock is what the next daemon goes by, and outlives its command line.
	k.until("the end of the agent", func() bool { return !slices.ContainsFunc(k.spools(), locked) })
	out, err := k.command("ps").CombinedOutput() // the next daemon finds no room either, and says so
	if err == nil || !strings.Contains(string(out), "make room on its disk") {
		t.Fatalf("with a full disk: %v\n%s", err, out)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	k.run("ps")
	k.settled(m)
	k.remembered("", "t0")
	k.end()
}

// fillDisk writes until there is no room for another byte.
func fillDisk(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err = f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
}

// Claude Code writes a line in one piece. Here a limit on its files cuts that
// short, and strace holds it there until the daemon is dead and the limit gone.
func TestRealHalfWrittenLineAtTheKill(t *testing.T) {
	t.Parallel()
	strace := systest.Needs(t, "strace")
	k := newKilling(t, "", "t0")
	k.open()
	// The limit is one of all files of the agent, and its transcript is written by
	// another thread: the output has to be the longest of them.
	k.settled(k.say("t0", "large"))
	k.remembered("", "t0")
	gate, open := k.gate()
	m := k.longer(k.message("t0", "", "large"), "600ms", "@"+gate)
	k.asked(m)
	spool := k.spools()[0]
	for pid := range k.agents() {
		release := k.holdWrite(strace, pid, spool)
		limitFiles(t, pid, spool, 100) // the next line is longer
		open()
		k.until("half a line", func() bool { return doing(spool) == "in the middle of a line" })
		k.kill()
		limitFiles(t, pid, spool, 1<<40)
		release()
	}
	if k.at["in the middle of a line"] != 1 {
		t.Errorf("the line was whole at the kill: %v", k.at)
	}
	k.next()
	k.settled(m)
	k.remembered("", "t0")
	k.end()
}

// holdWrite has the next write to a file last until release is called, or for a
// minute.
func (k *killing) holdWrite(strace string, pid int, path string) (release func()) {
	k.T.Helper()
	cmd := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-P", path, "-e", "trace=write",
		"-e", "inject=write:delay_exit=60000000:when=1", "-p", strconv.Itoa(pid))
	if err := cmd.Start(); err != nil {
		k.Fatal(err)
	}
	release = sync.OnceFunc(func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() })
	k.Cleanup(release)
	k.until("strace", func() bool {
		b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
		return !strings.Contains(string(b), "TracerPid:\t0\n")
	})
	return release
}

// limitFiles has no file of a process grow beyond the size of that one and some
// more.
func limitFiles(t *testing.T, pid int, path string, more int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	size := uint64(info.Size() + more)
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil); err != nil {
		t.Fatal(err)
	}
}

// A conversation that was cleared in a turn whose daemon is gone stays cleared.
func TestRealConversationClearedWithoutADaemon(t *testing.T) {
	t.Parallel()
	k := newKilling(t, "", "t0")
	k.open()
	var before, after ipc.Reply
	k.mustCall(ipc.MethodSend, ipc.Send{Team: "t0", Text: "echo:before"}, &before)
	var list ipc.ProcessList
	k.mustCall(ipc.MethodList, struct{}{}, &list)
	pid := list.Processes[0].PID
	k.until("its transcript on disk, which is late", func() bool { return k.told("echo:before") == 1 })
	k.rests()
	k.stopProcess(pid)
	var cleared ipc.MessageState
	k.mustCall(ipc.MethodSubmit, ipc.Send{Team: "t0", Text: "/clear"}, &cleared)
	k.until("the dispatch", func() bool {
		var st ipc.Status
		k.mustCall(ipc.MethodStatus, struct{}{}, &st)
		return st.Journal.Running == 1
	})
	k.until("the line in its pipe", func() bool { return lineWaits(t, pid) })
	k.kill()
	syscall.Kill(pid, syscall.SIGCONT)
	k.next()
	k.mustCall(ipc.MethodWait, ipc.Wait{IDs: []string{cleared.ID}}, &cleared)
	k.mustCall(ipc.MethodSend, ipc.Send{Team: "t0", Text: "dump"}, &after)
	if cleared.State != "done" || after.SessionID == before.SessionID || strings.Contains(string(after.Text), "echo:before") {
		t.Errorf("%s, and then session %s after %s: %s", cleared.State, after.SessionID, before.SessionID, after.Text)
	}
	k.end()
}
