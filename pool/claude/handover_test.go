//go:build linux

package claude

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iris/pool"
	"iris/pool/turn"
)

// adopted pauses a process and has another Process go on with it, as the next
// image of a program would: from what crosses an exec, and from nothing else.
func (r *rig) adopted(p *Process) *Process {
	r.t.Helper()
	var h Handed
	eventually(r.t, "a process that can be paused", func() bool {
		var err error
		h, err = p.Pause(r.t.Context())
		return err == nil
	})
	b, err := json.Marshal(h)
	if err != nil {
		r.t.Fatal(err)
	}
	h = Handed{}
	if err := json.Unmarshal(b, &h); err != nil {
		r.t.Fatal(err)
	}
	fd, err := unix.FcntlInt(uintptr(h.Stdin), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		r.t.Fatal(err)
	}
	o := Options{
		ID: r.o.ID, Team: r.o.Team, Dir: h.Dir, Spools: r.o.Spools, SessionID: h.Session, Grace: r.o.Grace,
		Follower: r.o.Follower, Stamp: r.o.Stamp, Log: r.o.Log,
		Callbacks: Callbacks{OnSession: r.onSession, OnAsk: r.o.OnAsk, OnWithdrawn: r.o.OnWithdrawn},
	}
	q, err := Adopt(o, h, os.NewFile(uintptr(fd), "stdin"), func(*Process) {})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		q.Stop()
		q.ResultRecorded()
		p.Unpause() // it sees the end of the process only
	})
	return q
}

// rejoin waits for the end of the turn that the process was adopted in.
func rejoin(t *testing.T, ctx context.Context, p *Process) *turn.Result {
	t.Helper()
	res, err := p.Rejoin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestAdoptedAgentGoesOn(t *testing.T) {
	r := fakeRig(t)
	file := filepath.Join(r.o.Dir, "CLAUDE.md")
	if err := os.WriteFile(file, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.o.Watch, r.o.Stamp = []Source{{Path: file}, {Path: file + ".missing"}}, sameAs(new("s"))
	p := r.start()
	first := send(t, p, "echo:one")
	if err := p.WaitIdle(t.Context()); err != nil { // all that it writes of that has been read then
		t.Fatal(err)
	}
	q := r.adopted(p)
	if q.PID() != p.PID() || q.Session() != p.Session() {
		t.Errorf("pid %d %d, session %s %s", q.PID(), p.PID(), q.Session(), p.Session())
	}
	if why := q.Stale(); why != "" {
		t.Errorf("stale: %s", why)
	}
	if then, now := p.Progress(), q.Progress(); !now.Round(0).Equal(then.Round(0)) || !strings.Contains(now.String(), " m=") {
		t.Errorf("the progress was at %v, and is at %v, which the clock can change", then, now)
	}
	ask(t, q, "count", "2")
	second := send(t, q, "echo:one")
	if diff := second.CostUSD - first.CostUSD; diff > first.CostUSD/2 || diff < -first.CostUSD/2 {
		t.Errorf("the first turn cost %g, a later one %g", first.CostUSD, second.CostUSD)
	}
	if _, err := q.Check(t.Context(), true); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if why := q.Stale(); why != "CLAUDE.md changed" {
		t.Errorf("stale: %q", why)
	}
}

// underWay begins a turn and returns when it has begun.
func underWay(t *testing.T, p *Process, text string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	begin(t, ctx, p, text, `"init"`)
}

func TestAdoptedTurnEnds(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	first := send(t, p, "echo:one")
	path, open := gate(t)
	underWay(t, p, "slow:10:@"+path)
	q := r.adopted(p)
	open()
	res := rejoin(t, t.Context(), q)
	if res.Outcome != turn.Success || len(res.Text) < 20 || res.CostUSD <= 0 || res.CostUSD > 100*first.CostUSD {
		t.Errorf("got %+v", res)
	}
	ask(t, q, "count", "3")
}

// What was denied to a subagent before the handoff is in the result after it.
func TestAdoptedTurnRemembersDenials(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	path, open := gate(t)
	underWay(t, p, "slow:10:@"+path)
	p.noteDenied(Request{Tool: "Bash", Input: []byte(`{"n":1}`), ToolUse: "t", Subagent: Subagent{ID: "a1"}})
	q := r.adopted(p)
	open()
	res := rejoin(t, t.Context(), q)
	if got := res.Denials; len(got) != 1 || got[0].Tool != "Bash" || string(got[0].Input) != `{"n":1}` {
		t.Errorf("got %+v", got)
	}
}

func TestAdoptedTurnIsInterrupted(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	underWay(t, p, "hang")
	q := r.adopted(p)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if res := rejoin(t, ctx, q); res.Outcome != turn.Interrupted {
		t.Errorf("got %+v", res)
	}
	ask(t, q, "echo:on", "on")
}

// What the agent has written while nobody read is read later, also when the
// agent has died since.
func TestResultThatNobodyHasReadIsFound(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	path, open := gate(t)
	u := begin(t, context.Background(), p, "slow:4:@"+path, `"init"`)
	h, err := p.Pause(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	open()
	spool := p.spool.path(".out")
	eventually(t, "the result", func() bool {
		b, _ := os.ReadFile(spool)
		return strings.Contains(string(b), `"type":"result"`)
	})
	syscall.Kill(h.PID, syscall.SIGKILL)
	p.Unpause()
	if res, err := u.wait(t); err != nil || res.Outcome != turn.Success {
		t.Errorf("got %+v, %v", res, err)
	}
	if <-p.Done(); !strings.Contains(p.Exit(), "killed") {
		t.Errorf("exit %q", p.Exit())
	}
}

func TestPauseRefusesALineThatIsBeingWritten(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	p.timing.stuckAfter = slow
	send(t, p, "deaf:stdin")
	done := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		_, err := p.Send(context.Background(), &Message{Text: strings.Repeat("x", 1<<20)})
		done <- err
	})
	eventually(t, "the writing", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.current.turn != nil })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := p.Pause(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	p.input.pipe.SetWriteDeadline(time.Now()) // it is stuck for too long now
	if err := <-done; !errors.Is(err, pool.ErrUnknown) {
		t.Errorf("the turn: %v", err)
	}
	if _, err := p.Pause(t.Context()); !errors.Is(err, ErrUnready) { // nothing may follow a cut line
		t.Errorf("got %v", err)
	}
}

func TestProcessThatIsGoneIsNotAdopted(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	h, err := p.Pause(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	earlier := h
	earlier.Start-- // its number is that of another process now
	refused(t, r.o, earlier)
	p.Unpause()
	p.Stop()
	refused(t, r.o, h)
}

// refused checks that a process is not adopted, and that its stdin is closed.
func refused(t *testing.T, o Options, h Handed) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Adopt(o, h, null, func(*Process) {}); err == nil {
		t.Error("adopted")
	}
	if null.Close() == nil {
		t.Error("stdin is still open")
	}
}

// What is asked survives the program of the daemon, and can be answered then.
func TestAdoptedRequestIsAnswered(t *testing.T) {
	both(t, func(t *testing.T, a *asked) {
		p := a.start()
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		_, q := a.pending(ctx, p)
		next := a.adopted(p)
		again := a.next()
		if again.ID != q.ID || !bytes.Equal(again.Input, q.Input) || again.Tool != q.Tool {
			t.Errorf("got %+v, want %+v", again, q)
		}
		if err := next.Answer(q.ID, true, ""); err != nil {
			t.Fatal(err)
		}
		if res := rejoin(t, t.Context(), next); res.Outcome != turn.Success || res.Text != a.allowed {
			t.Errorf("got %+v", res)
		}
		// And it goes on asking.
		u, q := a.pending(t.Context(), next)
		next.Answer(q.ID, false, "no more")
		if res, err := u.wait(t); err != nil || res.Outcome != turn.Denied {
			t.Errorf("got %+v, %v", res, err)
		}
	})
}

// The program before may be an older iris.
func TestHandOverKeepsTheNamesOfItsFormat(t *testing.T) {
	var h Handed
	old := `{"Untaken":true,"Notes":{"Message":{"First":{"Outcome":"success","Err":"e","SessionID":"s","CostUSD":2}}}}`
	if err := json.Unmarshal([]byte(old), &h); err != nil {
		t.Fatal(err)
	}
	m := h.Notes.Message
	if !h.ResultPending || m == nil || m.First == nil || m.First.Err != "e" || m.First.SessionID != "s" || m.First.CostUSD != 2 {
		t.Errorf("got %+v", h)
	}
}
