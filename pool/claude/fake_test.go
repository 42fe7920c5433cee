package claude

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
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
	want := []string{"-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose", "--session-id=" + r.o.SessionID, "--model=x", "--append-system-prompt=a b"}
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
		// What the test itself was lent is not the driver's doing.
		lent, _ := os.Readlink("/proc/self/fd/" + fd)
		if n, _ := strconv.Atoi(fd); n > 2 && target != lent && !strings.HasPrefix(target, "anon_inode:") && !strings.HasPrefix(target, "/sys/") {
			t.Errorf("descriptor %s is open: %s", fd, target)
		}
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
	if len(files) != 3 {
		t.Errorf("files: %v", files)
	}
}

func TestCrashes(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"crash:read:3", "exit status 3"},
		{"crash:before:0", "exit status 0"},
		{"crash:before:kill", "signal: killed"},
		{"crash:mid:1", "exit status 1"},
		{"crash:half:1", "exit status 1"},
	} {
		t.Run(c.text, func(t *testing.T) {
			p := fakeRig(t).start()
			begun := time.Now()
			_, err := p.Send(context.Background(), &pool.Turn{Text: c.text})
			if !errors.Is(err, pool.ErrUnknown) || errors.Is(err, pool.ErrNotDispatched) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if d := time.Since(begun); d > time.Second {
				t.Errorf("took %v", d)
			}
			<-p.Done()
			if p.Exit() != c.says {
				t.Errorf("exit: %s", p.Exit())
			}
		})
	}
}

func TestLastWordsAreInTheError(t *testing.T) {
	p := fakeRig(t).start()
	ask(t, p, "stderr:Error: out of cheese", "said")
	_, err := p.Send(context.Background(), &pool.Turn{Text: "crash:before:1"})
	if err == nil || !strings.Contains(err.Error(), "Error: out of cheese") {
		t.Errorf("got %v", err)
	}
}

// A result counts, whatever the agent does next.
func TestCrashAfterResult(t *testing.T) {
	p := fakeRig(t).start()
	if res := send(t, p, "crash:after:1"); res.Outcome != pool.OutcomeSuccess {
		t.Errorf("got %+v", res)
	}
	<-p.Done()
}

func TestDiesWhileIdle(t *testing.T) {
	p := fakeRig(t).start()
	ask(t, p, "die:50ms:kill", "dies in 50ms")
	<-p.Done()
	if _, err := p.Send(context.Background(), &pool.Turn{Text: "echo:x"}); !errors.Is(err, pool.ErrNotDispatched) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Check(context.Background(), true); err == nil {
		t.Error("the dead answers a ping")
	}
	p.Stop()
}

// The spool of a turn that has ended stays until its result is on record.
func TestSpoolStaysUntilTaken(t *testing.T) {
	p := fakeRig(t).start()
	ask(t, p, "echo:one", "one")
	p.Stop()
	path, _ := p.Spool()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	p.Taken()
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestSpoolOfIdleAgentGoesWithIt(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	ask(t, p, "echo:one", "one")
	p.Taken()
	p.Stop()
	if left, _ := os.ReadDir(r.o.Spools); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestInterruptIsNotAnswered(t *testing.T) {
	p := fakeRig(t).start()
	ctx, cancel := context.WithCancel(context.Background())
	u := begin(t, ctx, p, "hang:deaf", `"running"`)
	cancel()
	if _, err := u.wait(t, 3*time.Second); !errors.Is(err, pool.ErrUnknown) || !strings.Contains(err.Error(), "no answer to an interrupt in 1s") {
		t.Errorf("got %v", err)
	}
}

func TestStopLadder(t *testing.T) {
	for _, c := range []struct {
		deaf, exit string
		rungs      int
	}{
		{"ping", "exit status 0", 0},
		{"end", "exit status 0", 1},
		{"end,eof", "exit status 143", 2},
		{"end,eof,term", "signal: killed", 3},
	} {
		t.Run(c.deaf, func(t *testing.T) {
			r := fakeRig(t)
			r.o.Grace = 200 * time.Millisecond
			p := r.start()
			ask(t, p, "deaf:"+c.deaf, "deaf to "+c.deaf)
			begun := time.Now()
			p.Stop()
			d := time.Since(begun)
			if low := time.Duration(c.rungs) * r.o.Grace; p.Exit() != c.exit || d < low || d > low+time.Second {
				t.Errorf("%s after %v", p.Exit(), d)
			}
			p.Stop()
		})
	}
}

// The transcript is on its way to the disk: no SIGKILL just after a result.
func TestStopSparesTheTranscript(t *testing.T) {
	r := fakeRig(t)
	r.o.Grace = 0
	p := r.start()
	ask(t, p, "deaf:end,eof,term", "deaf to end,eof,term")
	begun := time.Now()
	p.Stop()
	if d := time.Since(begun); d < 100*time.Millisecond || p.Exit() != "signal: killed" {
		t.Errorf("%s after %v", p.Exit(), d)
	}
}

func TestStopInMidTurn(t *testing.T) {
	for _, text := range []string{"hang", "hang:deaf", "slow:100:50ms"} {
		r := fakeRig(t)
		r.o.Grace = 200 * time.Millisecond
		p := r.start()
		u := begin(t, context.Background(), p, text, `"running"`)
		p.Stop()
		res, err := u.wait(t, time.Second)
		if text == "hang:deaf" && !errors.Is(err, pool.ErrUnknown) || text != "hang:deaf" && (err != nil || res.Outcome != pool.OutcomeInterrupted) {
			t.Errorf("%s: got %+v, %v", text, res, err)
		}
	}
}

// forests calls f for each kind of child, with and without a reaper.
func forests(t *testing.T, f func(t *testing.T, p *Process, child procID, stays bool)) {
	for _, kind := range []string{"session", "group", "plain", "hold", "daemon"} {
		for _, reaped := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, reaped), func(t *testing.T) {
				r := fakeRig(t, "--fake-deaf=end,eof")
				r.o.Grace = 100 * time.Millisecond
				if reaped {
					reaper, err := NewReaper()
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(reaper.Close)
					r.o.Reaper = reaper
				}
				p := r.start()
				child := identify(atoi(t, send(t, p, "fork:"+kind+":1m").Text))
				defer child.signal(syscall.SIGKILL)
				f(t, p, child, kind == "daemon")
				if reaped && kind != "daemon" {
					eventually(t, "no zombie is left", func() bool { return !slices.ContainsFunc(children(os.Getpid()), zombie) })
				}
			})
		}
	}
}

func zombie(pid int) bool {
	s, ok := readStat(pid)
	return ok && s.gone()
}

func TestStopEndsTheTree(t *testing.T) {
	forests(t, func(t *testing.T, p *Process, child procID, stays bool) {
		p.Stop()
		if child.alive() != stays {
			t.Errorf("alive: got %v, want %v", !stays, stays)
		}
	})
}

func TestDeathEndsTheTree(t *testing.T) {
	forests(t, func(t *testing.T, p *Process, child procID, stays bool) {
		time.Sleep(50 * time.Millisecond) // the tree is looked at when the turn has ended
		p.ident.signal(syscall.SIGKILL)
		<-p.Done()
		if child.alive() != stays {
			t.Errorf("alive: got %v, want %v", !stays, stays)
		}
	})
}

func TestDeathInMidTurnEndsTheTool(t *testing.T) {
	p := fakeRig(t).start()
	u := begin(t, context.Background(), p, "fork:tool:1m", `"running"`)
	eventually(t, "the tool runs", func() bool { return len(below(p.o.ID, p.PID())) == 1 })
	p.ident.signal(syscall.SIGKILL)
	if _, err := u.wait(t, time.Second); !errors.Is(err, pool.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if left := below(p.o.ID, 0); len(left) > 0 {
		t.Errorf("left: %v", left)
		endAll(left)
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

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
	p := fakeRig(t).start()
	send(t, p, "spontaneous:10ms:300ms")
	eventually(t, "the agent has begun a turn", func() bool { state, _ := p.stateNow(); return state == "running" })
	begun := time.Now()
	ask(t, p, "echo:mine", "mine")
	if d := time.Since(begun); d < 100*time.Millisecond {
		t.Errorf("did not wait: %v", d)
	}
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
	p.stuckAfter = 200 * time.Millisecond
	ask(t, p, "deaf:stdin", "deaf to stdin")
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
		{"missing", func(o *Options) { o.Command = "no-such-claude" }, `program "no-such-claude" not found in PATH (`, true},
		{"missing path", func(o *Options) { o.Command = "/no/such/claude" }, "program /no/such/claude: no such file", true},
		{"relative", func(o *Options) { o.Command = "bin/claude" }, "/bin/claude: no such file", true},
		{"not executable", func(o *Options) { o.Command = file }, "not executable", true},
		{"directory", func(o *Options) { o.Command = dir }, "is a directory", true},
		{"no program", func(o *Options) { o.Command = text }, "exec format error", true},
		{"no interpreter", func(o *Options) { o.Command = script }, "its interpreter is missing", true},
		{"no directory", func(o *Options) { o.Dir = "/no/such/dir" }, "directory /no/such/dir: no such file", true},
		{"file as directory", func(o *Options) { o.Dir = file }, "not a directory", true},
		{"bad session", func(o *Options) { o.SessionID = "x" }, "not a UUID", true},
		{"exits", func(o *Options) { o.Args = []string{"--fake-broken=" + file} }, "exit status 1): fakeclaude: broken on request", false},
		{"bad flag", func(o *Options) { o.Args = []string{"--fake-nonsense"} }, "exit status 1): error:", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := fakeRig(t)
			c.change(&r.o)
			begun := time.Now()
			_, err := Start(context.Background(), r.o)
			start, ok := errors.AsType[*pool.StartError](err)
			if !ok || start.Permanent != c.permanent || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `start agent for team "api": `) {
				t.Fatalf("got %v", err)
			}
			if d := time.Since(begun); c.permanent && d > 100*time.Millisecond {
				t.Errorf("took %v", d)
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
	stamp = "b"
	want("configuration changed")
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
	p := fakeRig(t).start()
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
