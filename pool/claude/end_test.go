package claude

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"iris/pool"
	"iris/pool/turn"
)

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
			_, err := sending(t, context.Background(), p, c.text, nil).wait(t)
			if !errors.Is(err, pool.ErrUnknown) || errors.Is(err, pool.ErrNotDispatched) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			<-p.Done()
			if p.Exit() != c.says {
				t.Errorf("exit: %s", p.Exit())
			}
			_, err = sending(t, context.Background(), p, "echo:x", nil).wait(t)
			if !errors.Is(err, pool.ErrNotDispatched) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("send to the dead: %v", err)
			}
		})
	}
}

func TestLastWordsAreInTheError(t *testing.T) {
	p := fakeRig(t).start()
	ask(t, p, "stderr:Error: out of cheese", "said")
	_, err := p.Send(context.Background(), &Message{Text: "crash:before:1"})
	if err == nil || !strings.Contains(err.Error(), "Error: out of cheese") {
		t.Errorf("got %v", err)
	}
}

// A result counts, whatever the agent does next.
func TestCrashAfterResult(t *testing.T) {
	p := fakeRig(t).start()
	if res := send(t, p, "crash:after:1"); res.Outcome != turn.Success {
		t.Errorf("got %+v", res)
	}
	<-p.Done()
}

func TestDiesWhileIdle(t *testing.T) {
	p := fakeRig(t).start()
	ask(t, p, "die:50ms:kill", "dies in 50ms")
	<-p.Done()
	if _, err := p.Send(context.Background(), &Message{Text: "echo:x"}); !errors.Is(err, pool.ErrNotDispatched) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Check(context.Background(), true); err == nil {
		t.Error("the dead answers a ping")
	}
	p.Stop()
}

// The spool of a turn that has ended stays until its result is on record.
func TestSpoolStaysUntilTheResultIsRecorded(t *testing.T) {
	p := fakeRig(t).start()
	ask(t, p, "echo:one", "one")
	p.Stop()
	path := spoolOf(p)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	p.ResultRecorded()
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestSpoolOfIdleAgentGoesWithIt(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	ask(t, p, "echo:one", "one")
	p.ResultRecorded()
	p.Stop()
	if left, _ := os.ReadDir(r.o.Spools); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestInterruptIsNotAnswered(t *testing.T) {
	r := fakeRig(t)
	r.o.Grace = 200 * time.Millisecond
	p := r.start()
	ctx, cancel := context.WithCancel(context.Background())
	u := begin(t, ctx, p, "hang:deaf", "fake_deaf")
	cancel()
	if _, err := u.wait(t); !errors.Is(err, pool.ErrUnknown) || !strings.Contains(err.Error(), "no answer to an interrupt in 200ms") {
		t.Errorf("got %v", err)
	}
}

// Each rung is waited out that the agent is deaf to, and the next one is enough.
func TestStopLadder(t *testing.T) {
	const grace = 50 * time.Millisecond
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
			p := fakeRig(t).start()
			ask(t, p, "deaf:"+c.deaf, "deaf to "+c.deaf)
			for i := range c.rungs {
				p.timing.grace[i] = grace
			}
			begun := time.Now()
			p.Stop()
			if d := time.Since(begun); p.Exit() != c.exit || d < time.Duration(c.rungs)*grace {
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
	p.Stop()
	if d := time.Since(p.status.answered); d < transcriptDelay || p.Exit() != "signal: killed" {
		t.Errorf("%s after %v", p.Exit(), d)
	}
}

func TestStopInMidTurn(t *testing.T) {
	for _, c := range []struct {
		text, word string
		grace      time.Duration
	}{{"hang", `"running"`, slow}, {"hang:deaf", "fake_deaf", 100 * time.Millisecond}, {"slow:100000:50ms", `"running"`, slow}} {
		r := fakeRig(t)
		r.o.Grace = c.grace
		p := r.start()
		u := begin(t, context.Background(), p, c.text, c.word)
		p.Stop()
		res, err := u.wait(t)
		if c.grace < slow && !errors.Is(err, pool.ErrUnknown) || c.grace == slow && (err != nil || res.Outcome != turn.Interrupted) {
			t.Errorf("%s: got %+v, %v", c.text, res, err)
		}
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

func TestHelperThatFailedIsNamed(t *testing.T) {
	p := fakeRig(t).start()
	send(t, p, "stderr:apiKeyHelper failed: exited 3: oops")
	if res := send(t, p, "fail:login"); res.Err != "apiKeyHelper failed: exited 3: oops" || res.Reason != turn.HelperFailed {
		t.Errorf("got %+v", res)
	}
	if res := send(t, p, "fail:500"); strings.Contains(res.Err, "apiKeyHelper") {
		t.Errorf("another failure: got %+v", res)
	}
}
