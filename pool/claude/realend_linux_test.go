package claude

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/pool"
	"iris/pool/claude/claudetest"
	"iris/pool/procs"
	"iris/pool/turn"
)

func TestRealInterrupt(t *testing.T) {
	for _, c := range []struct{ name, text, word string }{
		{"stream", "slow:100000:50ms", `"init"`},
		{"tool", `tool:Bash:{"command":"true; sleep 100","description":"d"}`, `"tool_use"`},
		{"hang", "hang", `"init"`},
		{"retry", "status:500", `"api_retry"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := realRig(t)
			if c.name == "retry" { // more than are over before the interrupt comes
				r.o.Env = append(r.o.Env, "CLAUDE_CODE_MAX_RETRIES=10")
			}
			p := r.start()
			ctx, cancel := context.WithCancelCause(context.Background())
			u := begin(t, ctx, p, c.text, c.word)
			cancel(pool.ErrCancelled)
			res, err := u.wait(t)
			if err != nil || res.Outcome != turn.Interrupted || res.Err != "interrupted" || !strings.HasPrefix(res.Terminal, "aborted") {
				t.Fatalf("got %+v, %v", res, err)
			}
			eventually(t, "the tool is gone", func() bool { return len(below(p.o.ID, p.PID())) == 0 })
			ask(t, p, "echo:after", "after")
		})
	}
}

func TestRealStalledTurnIsIncomplete(t *testing.T) {
	p := realRig(t).start()
	ctx, cancel := context.WithCancelCause(context.Background())
	u := begin(t, ctx, p, "stall", `"init"`)
	cancel(pool.ErrStalled)
	if res, err := u.wait(t); err != nil || res.Outcome != turn.Incomplete {
		t.Errorf("got %+v, %v", res, err)
	}
}

// An interrupt may be read before the turn has begun, and is lost then.
func TestRealInterruptAtOnce(t *testing.T) {
	p := realRig(t).start()
	for i := range 10 {
		ctx, cancel := context.WithCancel(context.Background())
		stop := time.AfterFunc(time.Duration(i)*time.Millisecond, cancel)
		res, err := sending(t, ctx, p, "slow:100000:50ms", nil).wait(t)
		stop.Stop()
		cancel()
		if err != nil && !errors.Is(err, pool.ErrNotDispatched) || err == nil && res.Outcome != turn.Interrupted {
			t.Errorf("after %d ms: %+v, %v", i, res, err)
		}
	}
}

func TestRealStopEndsTools(t *testing.T) {
	for _, c := range []struct{ name, command string }{
		{"foreground", "true; sleep 300"},
		{"pipeline", "true; sleep 301 | cat"},
		{"background job", "(sleep 302 &); sleep 303"},
		{"deaf", "trap '' TERM INT HUP; sleep 304; sleep 305"},
		{"own session below", "setsid -w sleep 306"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := realRig(t).start()
			input, _ := json.Marshal(map[string]string{"command": c.command, "description": "d"})
			u := begin(t, context.Background(), p, "tool:Bash:"+string(input), `"tool_use"`)
			sleeping(t, p)
			p.timing.grace[rungAsk] = patience // and no other is needed
			p.Stop()
			if exit := p.Exit(); exit != "exit status 1" { // as a turn that is broken off leaves it
				t.Errorf("exit: %s", exit)
			}
			if left := below(p.o.ID, 0); len(left) > 0 {
				t.Errorf("left: %v", left)
				endAll(left)
			}
			if res, err := u.wait(t); err != nil || res.Outcome != turn.Interrupted {
				t.Errorf("turn: %+v, %v", res, err)
			}
		})
	}
}

// With the gentle rungs taken away, the tool of a killed agent goes too.
func TestRealTermLeavesNoTool(t *testing.T) {
	p := realRig(t).start()
	u := begin(t, context.Background(), p, `tool:Bash:{"command":"true; sleep 300","description":"d"}`, `"tool_use"`)
	sleeping(t, p)
	p.stopping.Store(true)
	p.climb(rungTerm)
	if left := below(p.o.ID, 0); len(left) > 0 {
		t.Errorf("left: %v", left)
		endAll(left)
	}
	if _, err := u.wait(t); !errors.Is(err, pool.ErrUnknown) || !strings.Contains(err.Error(), "exit status 143") {
		t.Errorf("turn: %v", err)
	}
}

// A tool that has ended may have put something into the background.
func TestRealBackgroundOfAnEndedToolIsEnded(t *testing.T) {
	for _, command := range []string{`sh -c "sleep 308 & echo ok"`, `sh -c "nohup sleep 309 & echo ok"`} {
		p := realRig(t).start()
		input, _ := json.Marshal(map[string]string{"command": command, "description": "d"})
		send(t, p, "tool:Bash:"+string(input))
		send(t, p, "echo:later") // so that it is older than the last turn
		if left := below(p.o.ID, p.PID()); len(left) != 1 {
			t.Fatalf("%s: below the agent: %v", command, left)
		}
		p.Stop()
		if left := below(p.o.ID, 0); len(left) > 0 {
			t.Errorf("%s: left: %v", command, left)
			endAll(left)
		}
	}
}

func TestRealDaemonOfAToolIsLeftAlone(t *testing.T) {
	p := realRig(t).start()
	send(t, p, `tool:Bash:{"command":"setsid nohup sleep 307 >/dev/null 2>&1 &","description":"d"}`)
	left := below(p.o.ID, p.PID())
	defer func() { endAll(left) }()
	if len(left) != 1 {
		t.Fatalf("below the agent: %v", left)
	}
	p.Stop()
	if !procs.Identify(left[0]).Alive() {
		t.Error("it was ended")
	}
}

func TestRealPhantomResultOnResume(t *testing.T) {
	r := realRig(t)
	p := r.start()
	send(t, p, `tool:Bash:{"command":"true; sleep 300","description":"d","run_in_background":true}`)
	p.Stop()
	if left := below(p.o.ID, 0); len(left) > 0 {
		t.Errorf("left: %v", left)
		endAll(left)
	}
	q := r.again()
	ask(t, q, "echo:first", "first")
	ask(t, q, "echo:second", "second")
}

func TestRealKilledInMidTurn(t *testing.T) {
	r := realRig(t)
	p := r.start()
	ask(t, p, "echo:one", "one")
	eventually(t, "the transcript on disk, which is late", func() bool {
		path, _ := Transcript(r.o.Env, r.o.SessionID)
		b, _ := os.ReadFile(path)
		return strings.Contains(string(b), `"text":"one"`)
	})
	u := begin(t, context.Background(), p, "slow:100000:50ms", `"init"`)
	p.ident.Signal(syscall.SIGKILL)
	_, err := u.wait(t)
	if !errors.Is(err, pool.ErrUnknown) || errors.Is(err, pool.ErrNotDispatched) || !strings.Contains(err.Error(), "signal: killed") {
		t.Fatalf("got %v", err)
	}
	if _, err := p.Send(context.Background(), &Message{Text: "echo:x"}); !errors.Is(err, pool.ErrNotDispatched) {
		t.Errorf("send to the dead: %v", err)
	}
	if res := send(t, r.again(), "dump"); !strings.Contains(res.Text, `"echo:one"`) {
		t.Errorf("after resume: %s", res.Text)
	}
}

func TestRealEOFInMidTurnFinishes(t *testing.T) {
	p := realRig(t).start()
	path, open := gate(t)
	u := begin(t, context.Background(), p, "slow:20:@"+path, `"init"`)
	p.hangUp()
	open()
	res, err := u.wait(t)
	if err != nil || res.Text != claudetest.SlowText(20) {
		t.Fatalf("got %+v, %v", res, err)
	}
	<-p.Done()
	if p.Exit() != "exit status 0" {
		t.Errorf("exit: %s", p.Exit())
	}
}

func TestRealLockIsTheAgentsAlone(t *testing.T) {
	p := realRig(t).start()
	path := spoolOf(p)
	if !lockHeld(path) {
		t.Fatal("the lock of a live agent is not held")
	}
	u := begin(t, context.Background(), p, `tool:Bash:{"command":"true; sleep 300","description":"d"}`, `"tool_use"`)
	tool := sleeping(t, p)
	tools := below(p.o.ID, p.PID())
	p.stopping.Store(true) // so that nobody ends the tool
	p.ident.Signal(syscall.SIGKILL)
	u.wait(t)
	if !procs.Identify(tool).Alive() {
		t.Error("the tool is gone, so this proves nothing")
	}
	if lockHeld(path) {
		t.Error("a tool has inherited the lock")
	}
	endAll(tools)
}

func TestRealStartErrors(t *testing.T) {
	for _, c := range []struct {
		name      string
		change    func(*Options)
		want      string
		permanent bool
	}{
		{"option", func(o *Options) { o.Args = []string{"--nonsense"} }, "unknown option '--nonsense'", true},
		{"resume", func(o *Options) { plantTranscript(t, o) }, "No conversation found", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := realRig(t)
			c.change(&r.o)
			_, err := Start(context.Background(), r.o)
			start, ok := errors.AsType[*pool.StartError](err)
			if !ok || start.Permanent != c.permanent || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
			if left, _ := os.ReadDir(r.o.Spools); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestRealStartIsCancelled(t *testing.T) {
	r := realRig(t)
	for _, after := range []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond} {
		ctx, cancel := context.WithTimeoutCause(context.Background(), after, pool.ErrKilled)
		_, err := Start(ctx, r.o)
		cancel()
		if !errors.Is(err, pool.ErrKilled) {
			t.Errorf("after %v: %v", after, err)
		}
	}
	if left := below(r.o.ID, 0); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// sleeping waits until a tool has come to its sleep and returns that. Before,
// the agent has other children too, which do not last.
func sleeping(t *testing.T, p *Process) (pid int) {
	t.Helper()
	eventually(t, "the tool sleeps", func() bool {
		for _, child := range below(p.o.ID, p.PID()) {
			if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child)); string(b) == "sleep\n" {
				pid = child
			}
		}
		return pid != 0
	})
	return pid
}

// plantTranscript makes it look as if the conversation had been held in another
// directory.
func plantTranscript(t *testing.T, o *Options) {
	t.Helper()
	dir := filepath.Join(lookup(o.Env, "HOME"), ".claude", "projects", "-elsewhere")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, o.SessionID+".jsonl"), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}
