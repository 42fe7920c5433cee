package claude

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iris/pool"
	"iris/pool/claude/claudetest"
	"iris/pool/turn"
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

// A message waits for the end of a turn that the agent has begun by itself.
func TestAgentsOwnTurn(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	path, open := gate(t)
	send(t, p, "spontaneous:0s:@"+path)
	spool := spoolOf(p)
	eventually(t, "the agent has begun a turn", func() bool {
		b, err := os.ReadFile(spool)
		return err == nil && strings.Count(string(b), `"subtype":"init"`) == 2
	})
	before := r.given(p)
	u := sending(t, context.Background(), p, "echo:mine", nil)
	eventually(t, "the message waits", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.marks.changed != nil })
	if now := r.given(p); now != before || p.turnNow() != nil {
		t.Errorf("a message was given at %d", now)
	}
	open()
	if res, err := u.wait(t); err != nil || res.Text != "mine" {
		t.Errorf("got %+v, %v", res, err)
	}
}

func (p *Process) turnNow() *activeTurn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current.turn
}

func TestAgentThatIsNeverIdle(t *testing.T) {
	p := fakeRig(t).start()
	p.timing.ownTurn = 200 * time.Millisecond
	ask(t, p, "noidle", "no idle")
	_, err := p.Send(context.Background(), &Message{Text: "echo:x"})
	if !errors.Is(err, pool.ErrNotDispatched) || !strings.Contains(err.Error(), "in a turn of its own") {
		t.Errorf("got %v", err)
	}
}

func TestAgentThatDoesNotRead(t *testing.T) {
	p := fakeRig(t).start()
	ask(t, p, "deaf:stdin", "deaf to stdin")
	p.timing.stuckAfter = 200 * time.Millisecond
	_, err := p.Send(context.Background(), &Message{Text: claudetest.Text(1 << 20)})
	if !errors.Is(err, pool.ErrUnknown) || errors.Is(err, pool.ErrNotDispatched) || !strings.Contains(err.Error(), "has not read its input for 200ms") {
		t.Errorf("got %v", err)
	}
	if _, err := p.Send(context.Background(), &Message{Text: "echo:x"}); !errors.Is(err, pool.ErrNotDispatched) {
		t.Errorf("after a cut line: %v", err)
	}
	p.Stop()
	if p.Exit() != "exit status 143" {
		t.Errorf("exit: %s, want it not to see the end of its input", p.Exit())
	}
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

// An interrupt that comes before the turn has begun is lost; the next is not.
func TestInterruptIsRepeated(t *testing.T) {
	r := scriptRig(t, `echo '{"type":"user"}'; read l; read l; echo '{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_streaming"}'`)
	p := r.start()
	ctx, cancel := context.WithCancel(context.Background())
	u := begin(t, ctx, p, "x", "user")
	cancel()
	if res, err := u.wait(t); err != nil || res.Outcome != turn.Interrupted {
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
	p.timing.stuckAfter = 200 * time.Millisecond
	if _, err := p.Send(context.Background(), &Message{Text: claudetest.Text(1 << 20)}); !errors.Is(err, pool.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(file+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the agent reads again", func() bool { return diskUse(file) > 0 })
	if _, err := p.Send(context.Background(), &Message{Text: "echo:x"}); !errors.Is(err, pool.ErrNotDispatched) {
		t.Errorf("got %v", err)
	}
	p.Stop()
	if got, _ := os.ReadFile(file); strings.Contains(string(got), "\n") || p.Exit() != "signal: terminated" {
		t.Errorf("%s after %d bytes", p.Exit(), len(got))
	}
}
