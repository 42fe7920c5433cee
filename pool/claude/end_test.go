package claude

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/pool"
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
			begun = time.Now()
			_, err = p.Send(context.Background(), &pool.Turn{Text: "echo:x"})
			if d := time.Since(begun); !errors.Is(err, pool.ErrNotDispatched) || !strings.Contains(err.Error(), c.says) || d > time.Second {
				t.Errorf("send to the dead: %v after %v", err, d)
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
		if _, err := p.Check(context.Background(), true); err != nil { // read after the tree was looked at
			t.Fatal(err)
		}
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

// A tool's background job has lost its parent but is in the tool's session.
func TestStopEndsTheSessionsOfTools(t *testing.T) {
	p := scriptRig(t, `setsid sh -c '(sleep 310 &); sleep 311' & sleep 0.2; echo '{"type":"result","subtype":"success"}'; read l; exit 0`).start()
	ask(t, p, "x", "")
	if got := below(p.o.ID, p.PID()); len(got) != 3 {
		t.Errorf("below the agent: %v", got)
	}
	p.Stop()
	if left := below(p.o.ID, 0); len(left) > 0 {
		t.Errorf("left: %v", left)
		endAll(left)
	}
}
