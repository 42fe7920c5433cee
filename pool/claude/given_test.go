package claude

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"iris/pool"
)

// given is the offset of the turn whose message may have been written, by the record.
func (r *rig) given(p *Process) int64 {
	r.t.Helper()
	rec, err := readRecord(p.spool.path(".out"))
	if err != nil || rec.Given == nil {
		r.t.Fatalf("got %+v, %v", rec, err)
	}
	return *rec.Given
}

// An agent may begin a turn of its own when another turn is recorded whose message it
// has not been given. Its output then says nothing about the recorded turn.
func TestRealOutcomeOfAMessageNotGiven(t *testing.T) {
	r := realRig(t)
	p := r.start()
	if got := r.given(p); got != -1 {
		t.Errorf("before the first turn: %d", got)
	}
	gated, open := gate(t)
	send(t, p, fmt.Sprintf(`tool:Bash:{"command":"%s","description":"d","run_in_background":true}`, untilOpen(gated)))
	if err := p.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := p.spool.path(".out")
	offset, _ := p.NextTurn()
	open()
	eventually(t, "a turn of its own", func() bool {
		b, err := os.ReadFile(path)
		_, own, found := bytes.Cut(b[min(int(offset), len(b)):], []byte(`"origin":{"kind":"task-notification"`))
		return err == nil && found && bytes.Contains(own, []byte(`"state":"idle"`))
	})
	if e, err := ReadOutcome(r.o.Spools, r.o.ID, offset, "", false); err != nil || !e.NotBegun || e.Result != nil {
		t.Errorf("not given: %+v, %v", e, err)
	}
	ask(t, p, "echo:hi", "hi")
	if e, err := ReadOutcome(r.o.Spools, r.o.ID, offset, "", false); err != nil || e.NotBegun || e.Result == nil || e.Result.Text != "hi" {
		t.Errorf("given: %+v, %v", e, err)
	}
	if got := r.given(p); got != offset {
		t.Errorf("recorded: %d, want %d", got, offset)
	}
}

// The record is there before the first byte, and a message that cannot be recorded is
// not written.
func TestMessageIsRecordedBeforeItIsGiven(t *testing.T) {
	r := fakeRig(t)
	p := r.start()
	send(t, p, "echo:one")
	if err := p.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	offset, _ := p.NextTurn()
	p.timing.stuckAfter = slow
	syscall.Kill(p.PID(), syscall.SIGSTOP)
	defer syscall.Kill(p.PID(), syscall.SIGCONT)
	large := strings.Repeat("x", 1<<20) // more than the pipe takes
	var sent error
	var wg sync.WaitGroup
	wg.Go(func() { _, sent = p.Send(context.Background(), &Message{Text: "echo:" + large}) })
	eventually(t, "the record", func() bool { return r.given(p) == offset })
	syscall.Kill(p.PID(), syscall.SIGCONT)
	if wg.Wait(); sent != nil {
		t.Fatal(sent)
	}
	if err := p.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.NextTurn()
	record := p.spool.path(".json")
	if err := errors.Join(os.Remove(record), os.Mkdir(record, 0o700)); err != nil {
		t.Fatal(err)
	}
	_, err := p.Send(context.Background(), &Message{Text: "echo:two"})
	if err == nil || !strings.Contains(err.Error(), "record of the turn") {
		t.Errorf("without a record: %v", err)
	}
	os.Remove(record)
	p.NextTurn()
	ask(t, p, "dump", `["echo:one","echo:`+large+`","dump"]`)
}

// The record counts only where it says that another turn before was the last whose
// message was given. When that came after, the turn was over by then, and nothing that
// follows is of it.
func TestOutcomeByTheRecord(t *testing.T) {
	const (
		running = `{"type":"system","subtype":"session_state_changed","state":"running"}` + "\n"
		answer  = `{"type":"control_response","response":{}}` + "\n"
		result  = `{"type":"result","subtype":"success","num_turns":1,"stop_reason":"end_turn","result":"r","total_cost_usd":3}` + "\n"
	)
	settled := func(record, spool string, offset int) (Evidence, error) {
		dir := t.TempDir()
		os.WriteFile(dir+"/s.p1.out", []byte(spool), 0o600)
		os.WriteFile(dir+"/s.p1.json", []byte(record), 0o600)
		return ReadOutcome(dir, "p1", int64(offset), "", false)
	}
	at := len(answer)
	for _, c := range []struct {
		record   string
		notBegun bool
	}{
		{fmt.Sprintf(`{"given":%d}`, at), false},
		{fmt.Sprintf(`{"given":%d}`, at-1), true},
		{`{"given":-1}`, true},
		{`{"given":-1}` + "  ", true},
		{fmt.Sprintf(`{"given":%d}`, at+1), false},
		{`{"given":null}`, false},
		{`{}`, false},
		{`{"given":-1`, false},
		{"", false},
	} {
		if e, err := settled(c.record, answer+running, at); err != nil || e.NotBegun != c.notBegun || e.Result != nil {
			t.Errorf("%s: got %+v, %v", c.record, e, err)
		}
	}
	if e, err := settled(`{"given":-1}`, result, 0); err != nil || !e.NotBegun || e.Result != nil {
		t.Errorf("the result of another: got %+v, %v", e, err)
	}
	next := fmt.Sprintf(`{"given":%d}`, len(answer))
	if e, err := settled(next, answer+running+result, 0); err != nil || e.NotBegun || e.Result != nil {
		t.Errorf("the result of the next turn: got %+v, %v", e, err)
	}
	next = fmt.Sprintf(`{"given":%d}`, len(running+result))
	if e, err := settled(next, running+result+running, 0); err != nil || e.Result == nil || e.Result.Text != "r" {
		t.Errorf("its own, with a turn after it: got %+v, %v", e, err)
	}
}

// An agent that dies before it is given a message leaves its spool, which shows that
// the turn never began, until nobody will look for it.
func TestAgentThatDiesBeforeItsMessageLeavesTheProof(t *testing.T) {
	for name, early := range map[string]bool{"before": true, "at the last moment": false} {
		t.Run(name, func(t *testing.T) {
			r := fakeRig(t)
			p := r.start()
			offset, _ := p.NextTurn()
			if early {
				p.proc.Kill()
				<-p.Done()
			}
			if err := sendWhileKilled(t, p); !errors.Is(err, pool.ErrNotDispatched) {
				t.Errorf("got %v", err)
			}
			if e, err := ReadOutcome(r.o.Spools, r.o.ID, offset, "", false); err != nil || !e.NotBegun {
				t.Errorf("got %+v, %v", e, err)
			}
			p.ResultRecorded()
			if left, err := os.ReadDir(r.o.Spools); len(left) > 0 || err != nil {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// sendWhileKilled sends a message to an agent that is killed when all is ready for it.
func sendWhileKilled(t *testing.T, p *Process) (err error) {
	t.Helper()
	var wg sync.WaitGroup
	p.input.mu.Lock()
	wg.Go(func() { _, err = p.Send(context.Background(), &Message{Text: "echo:x"}) })
	eventually(t, "the turn", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.current.turn != nil || p.status.gone
	})
	p.proc.Kill()
	eventually(t, "the end", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.status.gone
	})
	p.input.mu.Unlock()
	wg.Wait()
	return err
}
