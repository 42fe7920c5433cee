package claude

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"iris/pool"
	"iris/pool/claude/claudetest"
)

func TestTurn(t *testing.T) {
	p := fakeRig(t).start()
	ask(t, p, "echo:hi", "hi")
	ask(t, p, "count", "2")
	res := send(t, p, "echo:hi")
	if want := claudetest.FakeCost("echo:hi", "hi"); res.CostUSD < want*0.99 || res.CostUSD > want*1.01 {
		t.Errorf("cost: got %v, want %v", res.CostUSD, want)
	}
}

func TestCommandLineAndEnvironment(t *testing.T) {
	r := fakeRig(t)
	r.o.Args = []string{"--model=x", "--append-system-prompt=a b"}
	r.o.Env = append(r.o.Env, "CLAUDECODE=1", "CLAUDECODE_X=1", "CLAUDE_CODE_RESUME_INTERRUPTED_TURN=1", "IRIS_PROCESS=other", "PWD=/", "A=1", "A=2")
	p := r.start()
	var args []string
	json.Unmarshal([]byte(send(t, p, "args").Text), &args)
	want := []string{"-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose", "--include-partial-messages", "--session-id=" + r.o.SessionID, "--model=x", "--append-system-prompt=a b"}
	if !reflect.DeepEqual(args, want) {
		t.Errorf("got %q, want %q", args, want)
	}
	var env map[string]string
	json.Unmarshal([]byte(send(t, p, "env").Text), &env)
	for name, want := range map[string]string{
		"IRIS_PROCESS": r.o.ID, "PWD": r.o.Dir, "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1", "DISABLE_AUTOUPDATER": "1", "A": "2",
		"CLAUDECODE": "", "CLAUDECODE_X": "", "CLAUDE_CODE_RESUME_INTERRUPTED_TURN": "",
	} {
		if env[name] != want {
			t.Errorf("%s: got %q, want %q", name, env[name], want)
		}
	}
	ask(t, p, "cwd", r.o.Dir)
	p.Stop()
	p.Taken()
	json.Unmarshal([]byte(send(t, r.again(), "args").Text), &args)
	if !strings.Contains(strings.Join(args, " "), "--resume="+r.o.SessionID) {
		t.Errorf("second start: %q", args)
	}
}

func TestNoTranscriptIsNeverResumed(t *testing.T) {
	r := fakeRig(t)
	r.o.Transcript = false
	if got := strings.Join(r.o.argv(), " "); !strings.Contains(got, "--session-id=") || strings.Contains(got, "--resume") {
		t.Errorf("got %s", got)
	}
}

// An agent has its three descriptors and none of another agent's.
func TestOnlyThreeDescriptors(t *testing.T) {
	lent := map[string]string{} // to the test itself
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		lent[e.Name()], _ = os.Readlink("/proc/self/fd/" + e.Name())
	}
	r := fakeRig(t)
	r.start()
	r.o.ID, r.o.SessionID = "p2", NewSessionID()
	p := r.start()
	var fds map[string]string
	json.Unmarshal([]byte(send(t, p, "fds").Text), &fds)
	out, _ := p.Spool()
	for fd, want := range map[string]string{"0": "pipe:", "1": out, "2": strings.TrimSuffix(out, ".out") + ".err"} {
		if !strings.HasPrefix(fds[fd], want) {
			t.Errorf("%s: got %q, want %q", fd, fds[fd], want)
		}
	}
	for fd, target := range fds {
		if n, _ := strconv.Atoi(fd); n > 2 && target != lent[fd] && !strings.HasPrefix(target, "anon_inode:") && !strings.HasPrefix(target, "/sys/") {
			t.Errorf("descriptor %s is open: %s", fd, target)
		}
	}
}

// An agent leads a session of its own, so that nothing sent to the daemon's
// terminal or group reaches it.
func TestOwnSession(t *testing.T) {
	p := fakeRig(t).start()
	var got struct{ PID, SID, PGID int }
	json.Unmarshal([]byte(send(t, p, "inherit").Text), &got)
	if got.PID != p.PID() || got.SID != got.PID || got.PGID != got.PID {
		t.Errorf("got %+v, want %d for all", got, p.PID())
	}
}

func TestFilesArePrivate(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	ask(t, p, "echo:hi", "hi")
	dir, err := os.Stat(r.o.Spools)
	if err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", dir.Mode(), err)
	}
	files, _ := os.ReadDir(r.o.Spools)
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 || !strings.HasPrefix(f.Name(), r.o.SessionID+"."+r.o.ID+".") {
			t.Errorf("%s: %v", f.Name(), info.Mode())
		}
	}
	if err := CleanSpools(r.o.Spools, nil); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(r.o.Spools); len(files) != 3 || len(left) != 3 {
		t.Errorf("files: %v, and after cleaning %v", files, left)
	}
}

// A result counts, whatever the agent does next.
// The spool of a turn that has ended stays until its result is on record.
// The transcript is on its way to the disk: no SIGKILL just after a result.
// forests calls f for each kind of child, with and without a reaper.
func TestGarbageIsHarmless(t *testing.T) {
	p := fakeRig(t).start()
	for _, kind := range []string{"text", "nul", "utf8", "badutf8", "crlf", "blank", "unknown", "array", "scalar", "torn", "deep", "fields", "escape"} {
		ask(t, p, "garbage:"+kind, "after "+kind)
	}
	ask(t, p, "garbage:", "after garbage")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.garbage == 0 {
		t.Error("garbage is not counted")
	}
}

func TestResultInTwoHalves(t *testing.T) {
	ask(t, fakeRig(t).start(), "split:100ms", "in two halves, ü")
}

func TestFlood(t *testing.T) {
	p := fakeRig(t).start()
	path, _ := p.Spool()
	for _, kind := range []string{"", ":text", ":line", ":stderr"} {
		lines := 0
		res, err := p.Send(context.Background(), &pool.Turn{Text: "flood:32" + kind, Output: func([]byte) { lines++ }})
		if err != nil || res.Text != "flooded" {
			t.Fatalf("%s: %+v, %v", kind, res, err)
		}
		if kind == "" && lines < 512 {
			t.Errorf("got %d lines", lines)
		}
	}
	p.Taken()
	eventually(t, "the spool has been given back", func() bool { return diskUse(path) < 3<<20 })
	if _, err := p.Check(context.Background(), false); err != nil {
		t.Error(err)
	}
	if use := diskUse(strings.TrimSuffix(path, ".out") + ".err"); use > errLimit {
		t.Errorf("stderr takes %d bytes", use)
	}
	ask(t, p, "echo:after", "after")
}

func diskUse(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return allocated(info)
}

// A flood is given back while the turn still runs.
func TestFloodIsGivenBackInMidTurn(t *testing.T) {
	p := fakeRig(t).start()
	path, _ := p.Spool()
	last := int64(0) // when the answer comes
	_, err := p.Send(context.Background(), &pool.Turn{Text: "flood:100", Output: func([]byte) { last = diskUse(path) }})
	if err != nil || last > 16<<20 {
		t.Errorf("%d MB on disk, %v", last>>20, err)
	}
}

func TestAnswerOverTheLimit(t *testing.T) {
	p := fakeRig(t).start()
	res := send(t, p, fmt.Sprintf("size:%d", maxLine))
	if res.Outcome != pool.OutcomeFailed || !strings.Contains(res.Err, "64 MB") || res.Retire == "" {
		t.Errorf("got %s %q, retire %q", res.Outcome, res.Err, res.Retire)
	}
}

func TestPhantomResults(t *testing.T) {
	p := fakeRig(t, "--fake-phantom").start()
	ask(t, p, "echo:one", "one")
	ask(t, p, "phantom", "after a phantom")
	ask(t, p, "echo:two", "two")
}

// A message waits for the end of a turn that the agent has begun by itself.
func TestAgentsOwnTurn(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	path, open := gate(t)
	send(t, p, "spontaneous:0s:@"+path)
	spool, _ := p.Spool()
	eventually(t, "the agent has begun a turn", func() bool {
		b, err := os.ReadFile(spool)
		return err == nil && strings.Count(string(b), `"subtype":"init"`) == 2
	})
	before := r.given(p)
	u := sending(t, context.Background(), p, "echo:mine", nil)
	eventually(t, "the message waits", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.changed != nil })
	if now := r.given(p); now != before || p.turnNow() != nil {
		t.Errorf("a message was given at %d", now)
	}
	open()
	if res, err := u.wait(t); err != nil || res.Text != "mine" {
		t.Errorf("got %+v, %v", res, err)
	}
}

func (p *Process) turnNow() *turn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.turn
}

func TestAgentThatIsNeverIdle(t *testing.T) {
	p := fakeRig(t).start()
	p.ownTurn = 200 * time.Millisecond
	ask(t, p, "noidle", "no idle")
	_, err := p.Send(context.Background(), &pool.Turn{Text: "echo:x"})
	if !errors.Is(err, pool.ErrNotDispatched) || !strings.Contains(err.Error(), "busy with a turn of its own") {
		t.Errorf("got %v", err)
	}
}

func TestAgentThatDoesNotRead(t *testing.T) {
	p := fakeRig(t).start()
	ask(t, p, "deaf:stdin", "deaf to stdin")
	p.stuckAfter = 200 * time.Millisecond
	_, err := p.Send(context.Background(), &pool.Turn{Text: claudetest.Text(1 << 20)})
	if !errors.Is(err, pool.ErrUnknown) || errors.Is(err, pool.ErrNotDispatched) || !strings.Contains(err.Error(), "has not read its input for 200ms") {
		t.Errorf("got %v", err)
	}
	if _, err := p.Send(context.Background(), &pool.Turn{Text: "echo:x"}); !errors.Is(err, pool.ErrNotDispatched) {
		t.Errorf("after a cut line: %v", err)
	}
	p.Stop()
	if p.Exit() != "exit status 143" {
		t.Errorf("exit: %s, want it not to see the end of its input", p.Exit())
	}
}

func TestStartIsMute(t *testing.T) {
	r := fakeRig(t, "--fake-mute")
	r.o.StartTimeout = 200 * time.Millisecond
	_, err := Start(context.Background(), r.o)
	start, ok := errors.AsType[*pool.StartError](err)
	if !ok || start.Permanent || !strings.Contains(err.Error(), "not ready after 200ms") {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(r.o.Spools); len(left) > 0 || len(below(r.o.ID, 0)) > 0 {
		t.Errorf("left: %v, %v", left, below(r.o.ID, 0))
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	text := filepath.Join(dir, "text")
	os.WriteFile(file, nil, 0o644)
	os.WriteFile(text, []byte("no program"), 0o755)
	script := filepath.Join(dir, "script")
	os.WriteFile(script, []byte("#!/no/such/node\n"), 0o755)
	for _, c := range []struct {
		name      string
		change    func(*Options)
		want      string
		permanent bool
	}{
		{"missing", func(o *Options) { o.Command = "no-such-claude" }, `program "no-such-claude" is not on the agents' PATH (`, true},
		{"missing path", func(o *Options) { o.Command = "/no/such/claude" }, "program /no/such/claude does not exist", true},
		{"relative", func(o *Options) { o.Command = "bin/claude" }, "/bin/claude does not exist", true},
		{"not executable", func(o *Options) { o.Command = file }, "is not executable", true},
		{"directory", func(o *Options) { o.Command = dir }, "is a directory", true},
		{"no program", func(o *Options) { o.Command = text }, "exec format error", true},
		{"no interpreter", func(o *Options) { o.Command = script }, "its interpreter is missing", true},
		{"no directory", func(o *Options) { o.Dir = "/no/such/dir" }, "directory /no/such/dir: no such file", true},
		{"file as directory", func(o *Options) { o.Dir = file }, "is a file", true},
		{"bad session", func(o *Options) { o.SessionID = "x" }, "not a UUID", true},
		{"exits", func(o *Options) { o.Args = []string{"--fake-broken=" + file} }, "exit status 1): fakeclaude: broken on request", false},
		{"bad flag", func(o *Options) { o.Args = []string{"--fake-nonsense"} }, "exit status 1): error:", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := fakeRig(t)
			c.change(&r.o)
			_, err := Start(context.Background(), r.o)
			start, ok := errors.AsType[*pool.StartError](err)
			if !ok || start.Permanent != c.permanent || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `start agent for team "api": `) {
				t.Fatalf("got %v", err)
			}
			if left, _ := os.ReadDir(r.o.Spools); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestStale(t *testing.T) {
	r := fakeRig(t)
	md, settings, stamp := filepath.Join(r.o.Dir, "CLAUDE.md"), filepath.Join(r.o.Dir, "settings.json"), "a"
	os.WriteFile(settings, []byte("{}"), 0o644)
	r.o.Watch, r.o.Stamp = []string{md, settings}, func() string { return stamp }
	p := r.start()
	r.o.SessionID = NewSessionID()
	want := func(want string) {
		t.Helper()
		if got := p.Stale(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	want("")
	os.WriteFile(md, nil, 0o644)
	want("CLAUDE.md changed")
	os.Remove(md)
	want("")
	os.WriteFile(settings+".new", []byte("{}"), 0o644)
	os.Rename(settings+".new", settings)
	want("settings.json changed")
	same := time.Now().Add(-time.Hour)
	os.Chtimes(settings, same, same)
	q := r.again()
	os.WriteFile(settings+".new", []byte("{}"), 0o644)
	os.Chtimes(settings+".new", same, same)
	os.Rename(settings+".new", settings)
	if got := q.Stale(); got != "settings.json changed" {
		t.Errorf("same size and time: got %q", got)
	}
	stamp = "b"
	want("configuration changed")
	os.Rename(r.o.Dir, r.o.Dir+".old")
	want("directory gone")
	os.WriteFile(r.o.Dir, nil, 0o600)
	want("directory gone")
}

func TestCheckMeasuresTheTree(t *testing.T) {
	p := fakeRig(t).start()
	ask(t, p, "memory:64", "holds 64 MB")
	h, err := p.Check(context.Background(), true)
	if err != nil || h.Memory < 64<<20 || h.Memory > 512<<20 {
		t.Errorf("got %+v, %v", h, err)
	}
	ask(t, p, "deaf:ping", "deaf to ping")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Check(ctx, true); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Check(ctx, false); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestProgress(t *testing.T) {
	p := fakeRig(t).start()
	before := p.Progress()
	begun := time.Now()
	ask(t, p, "echo:hi", "hi")
	if after := p.Progress(); before.After(begun) || after.Before(begun) {
		t.Errorf("before %v, begun %v, after %v", before, begun, after)
	}
}

func TestOutputEndsWithSend(t *testing.T) {
	r := fakeRig(t)
	r.o.Grace = 100 * time.Millisecond
	p := r.start()
	over := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	_, err := p.Send(ctx, &pool.Turn{Text: "hang:deaf", Output: func([]byte) {
		cancel()
		select {
		case <-over:
			t.Error("output after Send has returned")
		default:
		}
	}})
	close(over)
	if !errors.Is(err, pool.ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

// scriptRig starts an agent that is a few lines of shell: ready, then what is
// given when a message has come.
func scriptRig(t testing.TB, then string) *rig {
	t.Helper()
	r := newRig(t)
	r.o.Command, r.o.Transcript = "/bin/sh", false
	r.o.Prefix = []string{"-c", `read l; echo '{"type":"control_response","response":{"subtype":"success","request_id":"iris-1","response":{}}}'; read l; ` + then}
	return r
}

// A whole line counts, also when the agent went before its newline.
func TestLastLineWithoutNewline(t *testing.T) {
	p := scriptRig(t, `printf '{"type":"result","subtype":"success","result":"whole"}'`).start()
	ask(t, p, "x", "whole")
	p = scriptRig(t, `printf '{"type":"result","subtype":"success","result":"who'`).start()
	if _, err := p.Send(context.Background(), &pool.Turn{Text: "x"}); !errors.Is(err, pool.ErrUnknown) {
		t.Errorf("half a line: %v", err)
	}
}

func TestTwoResultsAreOne(t *testing.T) {
	p := scriptRig(t, `printf '{"type":"result","subtype":"success","result":"1"}\n{"type":"result","subtype":"success","result":"2"}\n'; read l; echo '{"type":"result","subtype":"success","result":"3"}'`).start()
	ask(t, p, "x", "1")
	ask(t, p, "x", "3")
}

// An interrupt that comes before the turn has begun is lost; the next is not.
func TestInterruptIsRepeated(t *testing.T) {
	r := scriptRig(t, `echo '{"type":"user"}'; read l; read l; echo '{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_streaming"}'`)
	p := r.start()
	ctx, cancel := context.WithCancel(context.Background())
	u := begin(t, ctx, p, "x", "user")
	cancel()
	if res, err := u.wait(t); err != nil || res.Outcome != pool.OutcomeInterrupted {
		t.Errorf("got %+v, %v", res, err)
	}
}

// After a line that was cut short nothing reaches the agent any more, not even
// the end of its input: it would take the piece for a message.
func TestNothingFollowsACutLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "got")
	r := newRig(t)
	r.o.Command, r.o.Transcript = "/bin/sh", false
	r.o.Prefix = []string{"-c", `read l; echo '{"type":"control_response","response":{"subtype":"success","request_id":"iris-1","response":{}}}'; until test -e ` + file + `.go; do sleep 0.02; done; cat > ` + file}
	p := r.start()
	p.stuckAfter = 200 * time.Millisecond
	if _, err := p.Send(context.Background(), &pool.Turn{Text: claudetest.Text(1 << 20)}); !errors.Is(err, pool.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(file+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the agent reads again", func() bool { return diskUse(file) > 0 })
	if _, err := p.Send(context.Background(), &pool.Turn{Text: "echo:x"}); !errors.Is(err, pool.ErrNotDispatched) {
		t.Errorf("got %v", err)
	}
	p.Stop()
	if got, _ := os.ReadFile(file); strings.Contains(string(got), "\n") || p.Exit() != "signal: terminated" {
		t.Errorf("%s after %d bytes", p.Exit(), len(got))
	}
}
