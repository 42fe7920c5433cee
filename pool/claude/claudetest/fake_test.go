package claudetest

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeEnv is an environment for the fake; extra comes last.
func fakeEnv(t *testing.T, extra ...string) []string {
	t.Helper()
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS=1",
		"IRIS_PROCESS=p1",
	}, extra...)
}

func startFake(t *testing.T, args ...string) *agent {
	t.Helper()
	return start(t, Install(t.TempDir()), workDir(t), fakeEnv(t), args...)
}

// again starts the fake once more, in the same place.
func (a *agent) again(args ...string) *agent {
	a.t.Helper()
	return start(a.t, a.cmd.Path, a.cmd.Dir, a.cmd.Env, args...)
}

func TestFakeAnswers(t *testing.T) {
	a := startFake(t).ready()
	cost := 0.0
	for _, c := range []struct{ text, want string }{
		{"echo:hello", "hello"},
		{"slow:3:1ms", SlowText(3)},
		{"size:100000", Text(100_000)},
		{"sleep:1ms", "slept 1ms"},
		{`tool:Bash:{"command":"x"}`, "tool said: ran"},
		{"count", "6"},
		{"umask", statusField("Umask")},
		{"cwd", a.cmd.Dir},
		{"nothing known", "ok: nothing known"},
	} {
		got := a.ask(c.text)
		cost += FakeCost(c.text, c.want)
		if got.Result != c.want || got.IsError || math.Abs(got.Cost-cost) > 1e-9 {
			t.Errorf("%q: got %.100q, cost %v, want %.100q, cost %v", c.text, got.Result, got.Cost, c.want, cost)
		}
	}
	if code := a.eof(); code != 0 {
		t.Errorf("got exit status %d, want 0", code)
	}
}

func TestFakeTellsWhatItWasGiven(t *testing.T) {
	a := startFake(t, "--session-id=6f1cf4d2-6f4e-4f0b-9f63-1c3f3b6f0a11").ready()
	var env, fds, limits map[string]string
	json.Unmarshal([]byte(a.ask("env").Result), &env)
	json.Unmarshal([]byte(a.ask("fds").Result), &fds)
	json.Unmarshal([]byte(a.ask("limits").Result), &limits)
	if env["IRIS_PROCESS"] != "p1" || !strings.HasPrefix(fds["1"], "pipe:") || limits["Max open files"] == "" {
		t.Errorf("got env %v\nfds %v\nlimits %v", env, fds, limits)
	}
	if got := a.ask("args").Result; !strings.Contains(got, "stream-json") {
		t.Errorf("got args %s", got)
	}
}

func TestFakeKeepsASession(t *testing.T) {
	const id = "6f1cf4d2-6f4e-4f0b-9f63-1c3f3b6f0a11"
	a := startFake(t, "--session-id", id).ready()
	a.ask("echo:one")
	a.cmd.Process.Kill()
	a.exit()
	if b := a.again("--session-id=" + id); b.exit() != 1 || b.stderr.String() != "Error: Session ID "+id+" is already in use.\n" {
		t.Errorf("same id: got %q", b.stderr.String())
	}
	b := a.again("--resume", id).ready()
	if got, want := b.ask("dump").Result, `["echo:one","dump"]`; got != want {
		t.Errorf("after resume: got %s, want %s", got, want)
	}
	b.eof()
	other := "7" + id[1:]
	if c := a.again("--resume=" + other); c.exit() != 1 || c.stderr.String() != "No conversation found with session ID: "+other+"\n" {
		t.Errorf("unknown id: got %q", c.stderr.String())
	}
	if c := a.again("--session-id", "abc"); c.exit() != 1 || c.stderr.String() != "Error: Invalid session ID. Must be a valid UUID.\n" {
		t.Errorf("bad id: got %q", c.stderr.String())
	}
}

func TestFakeCanLoseItsTranscriptWhenKilled(t *testing.T) {
	const id = "6f1cf4d2-6f4e-4f0b-9f63-1c3f3b6f0a12"
	a := startFake(t, "--session-id", id, "--fake-late=1h").ready()
	a.ask("echo:one")
	a.cmd.Process.Kill()
	a.exit()
	if b := a.again("--resume", id); b.exit() != 1 {
		t.Error("the transcript of a killed late writer is there")
	}
	c := a.again("--session-id", id, "--fake-late=1h").ready()
	c.ask("echo:two")
	c.eof()
	if got := a.again("--resume", id).ready().ask("count").Result; got != "2" {
		t.Errorf("after a clean end: got count %s, want 2", got)
	}
}

func TestFakeSwallowsARepeatedMessage(t *testing.T) {
	a := startFake(t).ready()
	const once = `{"type":"user","uuid":"6f1cf4d2-6f4e-4f0b-9f63-1c3f3b6f0a13","message":{"role":"user","content":"echo:once"}}`
	a.write(once)
	if got := a.result(); got.Result != "once" {
		t.Errorf("got %q, want the first answer", got.Result)
	}
	a.write(once)
	if got := a.ask("count"); got.Result != "2" {
		t.Errorf("got %q, want 2", got.Result)
	}
}

func TestFakeCrashes(t *testing.T) {
	for _, c := range []struct {
		how    string
		status int
		result bool
	}{
		{"crash:read:3", 3, false}, {"crash:before", 1, false}, {"crash:mid:0", 0, false}, {"crash:half:0", 0, false},
		{"crash:after:4", 4, true}, {"crash:before:kill", -1, false}, {"die:10ms:5", 5, true},
	} {
		a := startFake(t).ready()
		a.user(c.how)
		status := a.exit()
		var last line
		var result bool
		for l := range a.lines {
			last, result = l, result || l.Type == "result"
		}
		if status != c.status || result != c.result || (c.how == "crash:half:0") != (last.Type == "garbage") {
			t.Errorf("%s: got status %d, result %v, last line %.100q", c.how, status, result, last.raw)
		}
		if c.how == "crash:read:3" && last.Type != "" {
			t.Errorf("%s: got %s", c.how, last.raw)
		}
	}
}

func TestFakeHangs(t *testing.T) {
	a := startFake(t).ready()
	for _, text := range []string{"hang", "hang:partial", "sleep:1h", "slow:100:1h", "fork:tool:1h"} {
		a.user(text)
		a.until("init", func(l line) bool { return l.Subtype == "init" })
		a.control("i", `{"subtype":"interrupt"}`)
		if got := a.result(); got.Terminal != "aborted_streaming" || !got.IsError {
			t.Errorf("%s: got %s", text, got.raw)
		}
	}
	a.user("hang:deaf")
	a.until("word that it is deaf", func(l line) bool { return l.Subtype == "fake_deaf" })
	a.control("i", `{"subtype":"interrupt"}`)
	a.control("p", `{"subtype":"get_binary_version"}`)
	a.control("e", `{"subtype":"end_session"}`)
	a.stdin.Close()
	a.silent(200 * time.Millisecond)
	a.cmd.Process.Signal(syscall.SIGTERM)
	if code := a.exit(); code != 143 {
		t.Errorf("got exit status %d, want 143", code)
	}
}

// silent fails the test when the agent says anything, or ends, within d.
func (a *agent) silent(d time.Duration) {
	a.t.Helper()
	select {
	case l, ok := <-a.lines:
		a.t.Errorf("got %.200q (open %v), want silence", l.raw, ok)
	case <-time.After(d):
	}
}

func TestFakeIsDeaf(t *testing.T) {
	a := startFake(t).ready()
	a.ask("deaf")
	a.until("idle", func(l line) bool { return l.State == "idle" })
	a.control("p", `{"subtype":"get_binary_version"}`)
	a.control("e", `{"subtype":"end_session"}`)
	a.cmd.Process.Signal(syscall.SIGTERM)
	a.stdin.Close()
	a.silent(300 * time.Millisecond)
	a.cmd.Process.Kill()
	if code := a.exit(); code != -1 {
		t.Errorf("got exit status %d, want death by signal", code)
	}
}

func TestFakeStopsReading(t *testing.T) {
	a := startFake(t).ready()
	a.ask("deaf:stdin")
	done := make(chan error, 1)
	a.wg.Go(func() {
		_, err := a.stdin.Write(make([]byte, 1<<20))
		done <- err
	})
	select {
	case err := <-done:
		t.Errorf("the pipe took it all: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	a.cmd.Process.Kill()
	<-done
}

func TestFakeStartsBadly(t *testing.T) {
	a := startFake(t, "--fake-mute")
	a.control("i", `{"subtype":"initialize"}`)
	a.user("echo:x")
	a.silent(200 * time.Millisecond)
	file := filepath.Join(t.TempDir(), "broken")
	os.WriteFile(file, nil, 0o600)
	if b := startFake(t, "--fake-broken="+file); b.exit() != 1 || b.stderr.String() == "" {
		t.Errorf("broken: got %v", b.err)
	}
	os.Remove(file)
	startFake(t, "--fake-broken="+file).ready()
	begun := time.Now()
	startFake(t, "--fake-slow-start=300ms").ready()
	if d := time.Since(begun); d < 300*time.Millisecond {
		t.Errorf("slow start: ready after %v", d)
	}
	c := startFake(t, "--fake-phantom")
	if got := c.result(); got.Origin == nil || got.Result != "" {
		t.Errorf("phantom: got %s", got.raw)
	}
	c.ready()
}

func TestFakeWritesGarbage(t *testing.T) {
	a := startFake(t).ready()
	for kind := range rubbish {
		if got := a.ask("garbage:" + kind); kind != "nul" && got.Result != "after "+kind {
			t.Errorf("%s: got %.100q", kind, got.raw)
		}
	}
	if got := a.ask("split:20ms"); got.Result != "in two halves, ü" {
		t.Errorf("split: got %q", got.raw)
	}
	a.user("split:200ms")
	for i := range 40 { // an answer comes before the result or after it, never into it
		a.control(fmt.Sprint("c", i), `{"subtype":"get_binary_version"}`)
		time.Sleep(2 * time.Millisecond)
	}
	if got := a.result(); got.Result != "in two halves, ü" {
		t.Errorf("split, with requests meanwhile: got %q", got.raw)
	}
	a.ask("noidle")
	a.user("count")
	if l := a.until("a state or init", func(l line) bool { return l.Type == "system" }); l.Subtype != "init" {
		t.Errorf("noidle: got %s", l.raw)
	}
}

func TestFakeFloods(t *testing.T) {
	a := startFake(t).ready()
	for _, kind := range []string{"flood:3", "flood:3:line", "flood:3:text", "flood:3:stderr"} {
		before := a.bytes
		a.ask(kind)
		if n := a.bytes - before; (n > 3<<20) == (kind == "flood:3:stderr") {
			t.Errorf("%s: got %d bytes", kind, n)
		}
	}
	a.eof()
	if n := len(a.stderr.String()); n < 3<<20 {
		t.Errorf("stderr: got %d bytes", n)
	}
}

func TestFakeFails(t *testing.T) {
	a := startFake(t).ready()
	for _, c := range []struct {
		kind, subtype string
		status        int
		isError       bool
	}{
		{"400", "success", 400, true}, {"429", "success", 429, true}, {"529", "success", 529, true},
		{"login", "success", 0, true}, {"timeout", "success", 0, true}, {"turns", "error_max_turns", 0, true},
		{"budget", "error_max_budget_usd", 0, true}, {"exec", "error_during_execution", 0, true}, {"denied", "success", 0, false},
	} {
		got := a.ask("fail:" + c.kind)
		status := 0
		if got.APIStatus != nil {
			status = *got.APIStatus
		}
		if got.Subtype != c.subtype || status != c.status || got.IsError != c.isError || (c.kind == "denied") != (len(got.Denials) == 1) {
			t.Errorf("%s: got %s", c.kind, got.raw)
		}
	}
	a.ask("fail:500")
	if code := a.eof(); code != 1 {
		t.Errorf("end of input after an error: got exit status %d, want 1", code)
	}
}

func TestFakeWritesMoreResultsThanOne(t *testing.T) {
	a := startFake(t).ready()
	if got := a.ask("two"); got.Result != "the first of two" {
		t.Errorf("got %s", got.raw)
	}
	if got := a.result(); got.Result != "the second of two" {
		t.Errorf("got %s", got.raw)
	}
	if got := a.ask("phantom"); got.Origin == nil {
		t.Errorf("got %s", got.raw)
	}
	if got := a.result(); got.Origin != nil || got.Result != "after a phantom" {
		t.Errorf("got %s", got.raw)
	}
	a.ask("spontaneous:10ms:10ms")
	if got := a.result(); got.Origin == nil || got.Origin.Kind != "task-notification" {
		t.Errorf("got %s", got.raw)
	}
}

func TestFakeForks(t *testing.T) {
	for _, kind := range []string{"plain", "group", "session", "hold", "tied", "daemon"} {
		a := startFake(t).ready()
		pid, err := strconv.Atoi(a.ask("fork:" + kind + ":1m").Result)
		if err != nil || !alive(pid) {
			t.Fatalf("%s: got pid %d (%v), which is not alive", kind, pid, err)
		}
		t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
		pgid, _ := syscall.Getpgid(pid)
		if own := pgid == pid; own != (kind != "plain") {
			t.Errorf("%s: process group %d of process %d", kind, pgid, pid)
		}
		a.cmd.Process.Kill()
		if kind == "hold" {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		a.exit()
		if kind == "tied" {
			waitGone(t, pid)
		} else if kind != "hold" && !alive(pid) {
			t.Errorf("%s: died with the agent", kind)
		}
	}
}

// alive reports whether the process is there and no zombie.
func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); alive(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("process %d is alive", pid)
			return
		}
	}
}

func TestFakeEndsOnSignals(t *testing.T) {
	for sig, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGHUP: 129, syscall.SIGINT: 0} {
		a := startFake(t).ready()
		a.user("hang")
		a.until("init", func(l line) bool { return l.Subtype == "init" })
		a.cmd.Process.Signal(sig)
		if code := a.exit(); code != want {
			t.Errorf("%v: got exit status %d, want %d", sig, code, want)
		}
	}
}

func TestMainLeavesOtherProgramsAlone(t *testing.T) {
	self, _ := os.Executable()
	out, err := exec.Command(self, "-test.run=^$").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("got %v, %s", err, out)
	}
}
