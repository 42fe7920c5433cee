package claude

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"iris/pool"
	"iris/pool/turn"
)

// asked is a rig whose agents ask for permission, and what they have asked.
type asked struct {
	*rig
	requests  chan Request
	withdrawn chan string
	call      string // of a tool that needs permission
	input     string // of that
	allowed   string // the answer when it was allowed
}

func (r *rig) asking() *asked {
	a := &asked{rig: r, requests: make(chan Request, 10), withdrawn: make(chan string, 10)}
	r.o.Ask = true
	r.o.OnAsk = func(_ *Process, q Request) { a.requests <- q }
	r.o.OnWithdrawn = func(_ *Process, id string) { a.withdrawn <- id }
	return a
}

func fakeAsking(t *testing.T) *asked {
	a := fakeRig(t).asking()
	a.input = `{ "b": [1.50, 1e3],  "a": "x<&>\u2028ü\/" , "a2":null}`
	a.call, a.allowed = "ask:Bash:"+a.input, "allowed: "+a.input
	return a
}

func realAsking(t *testing.T) *asked {
	r := realRig(t)
	r.o.Args = nil
	a := r.asking()
	a.input = fmt.Sprintf(`{"command":"echo '<&>ü' > %s/made; cat %[1]s/made","description":"d"}`, realDir(t))
	a.call, a.allowed = "tool:Bash:"+a.input, "tool said: <&>ü"
	return a
}

// both runs a test with the fake and with the real program.
func both(t *testing.T, f func(*testing.T, *asked)) {
	t.Run("fake", func(t *testing.T) { f(t, fakeAsking(t)) })
	t.Run("real", func(t *testing.T) { f(t, realAsking(t)) })
}

// next is the next request.
func (a *asked) next() Request {
	a.t.Helper()
	select {
	case q := <-a.requests:
		return q
	case <-time.After(patience):
		a.t.Fatal("nothing is asked")
		return Request{}
	}
}

// gone checks that the request is withdrawn.
func (a *asked) gone(id string) {
	a.t.Helper()
	select {
	case got := <-a.withdrawn:
		if got != id {
			a.t.Errorf("withdrawn: %s, want %s", got, id)
		}
	case <-time.After(patience):
		a.t.Fatal("the request is not withdrawn")
	}
}

// pending begins a turn that waits for permission.
func (a *asked) pending(ctx context.Context, p *Process) (*under, Request) {
	a.t.Helper()
	u := begin(a.t, ctx, p, a.call, "can_use_tool")
	return u, a.next()
}

func TestAllowedToolRuns(t *testing.T) {
	both(t, func(t *testing.T, a *asked) {
		p := a.start()
		u, q := a.pending(t.Context(), p)
		if q.Tool != "Bash" || q.Description != "d" || a.stub == nil && q.BlockedPath == "" {
			t.Errorf("got %+v", q)
		}
		if a.stub == nil && string(q.Input) != a.input {
			t.Errorf("input %s, want %s", q.Input, a.input)
		}
		if err := p.Answer(q.ID, true, ""); err != nil {
			t.Fatal(err)
		}
		res, err := u.wait(t)
		if err != nil || res.Outcome != turn.Success || res.Text != a.allowed || len(res.Denials) != 0 {
			t.Errorf("got %+v, %v", res, err)
		}
		if err := p.Answer(q.ID, false, ""); !errors.Is(err, ErrWithdrawn) {
			t.Errorf("a second answer: %v", err)
		}
		ask(t, p, "echo:after", "after")
	})
}

func TestDeniedToolTellsWhy(t *testing.T) {
	both(t, func(t *testing.T, a *asked) {
		p := a.start()
		u, q := a.pending(t.Context(), p)
		why := "not \"today\",\nsays iris ü"
		if err := p.Answer(q.ID, false, why); err != nil {
			t.Fatal(err)
		}
		res, err := u.wait(t)
		if err != nil || res.Outcome != turn.Denied || res.Err != "denied: Bash" || !strings.HasSuffix(res.Text, why) || res.Reason != "" {
			t.Errorf("got %+v, %v", res, err)
		}
		ask(t, p, "echo:after", "after")
	})
}

func TestInterruptWithdrawsTheRequest(t *testing.T) {
	both(t, func(t *testing.T, a *asked) {
		p := a.start()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		u, q := a.pending(ctx, p)
		cancel()
		if res, err := u.wait(t); err != nil || res.Outcome != turn.Interrupted {
			t.Errorf("got %+v, %v", res, err)
		}
		a.gone(q.ID)
		if err := p.Answer(q.ID, true, ""); !errors.Is(err, ErrWithdrawn) {
			t.Errorf("an answer: %v", err)
		}
		ask(t, p, "echo:after", "after")
	})
}

func TestStopWithdrawsTheRequest(t *testing.T) {
	both(t, func(t *testing.T, a *asked) {
		p := a.start()
		u, q := a.pending(t.Context(), p)
		p.Stop()
		a.gone(q.ID)
		u.wait(t)
		if err := p.Answer(q.ID, true, ""); !errors.Is(err, ErrWithdrawn) {
			t.Errorf("an answer: %v", err)
		}
	})
}

func TestDeathWithdrawsTheRequest(t *testing.T) {
	a := fakeAsking(t)
	p := a.start()
	u, q := a.pending(t.Context(), p)
	endAll([]int{p.PID()})
	a.gone(q.ID)
	if _, err := u.wait(t); !errors.Is(err, pool.ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutAskNobodyIsAsked(t *testing.T) {
	r := fakeRig(t, "--permission-prompt-tool=stdio")
	res := send(t, r.start(), "ask:Bash:{}")
	if res.Outcome != turn.Denied || res.Text != "nobody is there to approve this" {
		t.Errorf("got %+v", res)
	}
}

// A turn that waits for an answer has not stalled, however long that takes.
func TestWaitingForAnAnswerIsProgress(t *testing.T) {
	a := fakeAsking(t)
	p := a.start()
	u, q := a.pending(t.Context(), p)
	before := time.Now()
	if p.Progress().Before(before) {
		t.Error("it has made no progress")
	}
	if err := p.Answer(q.ID, true, ""); err != nil {
		t.Fatal(err)
	}
	u.wait(t)
	rest(t, p) // all that it has written is read
	after := time.Now()
	if at := p.Progress(); at.Before(before) || at.After(after) {
		t.Errorf("progress %v, want one between %v and %v", at, before, after)
	}
}

// Several calls at once are told apart.
func TestSeveralRequestsAtOnce(t *testing.T) {
	a := fakeAsking(t)
	p := a.start()
	u := begin(t, t.Context(), p, `ask:Bash:{"n":1} Write:{"n":2} Edit:{"n":3}`, "can_use_tool")
	for _, tool := range []string{"Bash", "Write", "Edit"} {
		q := a.next()
		if q.Tool != tool {
			t.Fatalf("got %s, want %s", q.Tool, tool)
		}
		defer func() {
			if err := p.Answer(q.ID, tool != "Write", "no "+tool); err != nil {
				t.Error(err)
			}
			if tool != "Bash" { // the last to be answered
				return
			}
			res, err := u.wait(t)
			if err != nil || res.Text != "allowed: {\"n\":1}\nno Write\nallowed: {\"n\":3}" || len(res.Denials) != 1 {
				t.Errorf("got %+v, %v", res, err)
			}
		}()
	}
}

// When the daemon dies the agent denies by itself; that is told apart from a
// denial that somebody wanted.
func TestApprovalIsLostWithTheDaemon(t *testing.T) {
	both(t, func(t *testing.T, a *asked) {
		r := afterDaemon(t, a)
		want := "denied: Bash (approval lost: the daemon ended while it was pending)"
		if r.Outcome != turn.Denied || r.Reason != turn.ApprovalLost || r.Err != want || len(r.Denials) != 1 {
			t.Errorf("got %+v", r)
		}
	})
}

// An approval is lost by the agent's own word about a tool that it has denied. What
// another tool prints is no such word.
func TestLostApprovalIsRecognised(t *testing.T) {
	const failed = "Tool permission request failed: "
	for _, c := range []struct {
		id, said string
		isError  bool
		lost     bool
	}{
		{"t", failed + "Error: " + streamClosed, true, true},      // 2.1.197
		{"t", failed + "AbortError: " + streamClosed, true, true}, // 2.1.332
		{"t", "Another: " + streamClosed + " (why)", true, true},
		{"t", failed + "Error: Stream closed", true, true}, // asked after the daemon had gone: 2.1.197
		{"t", failed + "AbortError: Stream closed", true, true},
		{"t", failed + "Error: " + streamClosed, false, false},
		{"t", "Exit code 1\nError: Stream closed", true, false},
		{"other", failed + "Error: " + streamClosed, true, false},
		{"t", "", true, false},
	} {
		said, _ := json.Marshal(c.said)
		for _, content := range []string{string(said), `[{"type":"text","text":` + string(said) + `}]`} {
			var l abandonedRequests
			l.note(fmt.Appendf(nil, `{"type":"user","message":{"content":[{"type":"text","text":"x"},{"type":"tool_result","tool_use_id":%q,"is_error":%v,"content":%s}]}}`, c.id, c.isError, content))
			r := &turn.Result{Outcome: turn.Denied, Err: "denied: Bash"}
			l.explain(r, []denial{{ID: "t", Tool: "Bash"}})
			if got := r.Reason != ""; got != c.lost {
				t.Errorf("%s of %s: got %v, want %v", content, c.id, got, c.lost)
			}
		}
	}
	for _, content := range []string{`"` + streamClosed + `"`, `5`, `[{"type":"tool_result","tool_use_id":"t","is_error":true,"content":[]}]`} {
		var l abandonedRequests
		if l.note([]byte(`{"type":"user","message":{"content":` + content + `}}`)); l != nil {
			t.Errorf("%s: got %v", content, l)
		}
	}
}

func TestPermissionIsOneLineOfJSON(t *testing.T) {
	for _, input := range []string{`{"a":1}`, `{ "a" : 1.50 }`, ``} {
		for _, allow := range []bool{true, false} {
			line := permission(Request{ID: "a\"b\n", Input: []byte(input)}, allow, "why\n\"x\"")
			if !json.Valid(line) || bytes.Count(line, []byte("\n")) != 1 || !bytes.HasSuffix(line, []byte("\n")) {
				t.Errorf("got %q", line)
			}
		}
	}
}

// An answer counts even if the turn ends right after it.
func TestAnswerIsNotWithdrawn(t *testing.T) {
	a := fakeAsking(t)
	p := a.start()
	for range 50 {
		u, q := a.pending(t.Context(), p)
		if err := p.Answer(q.ID, true, ""); err != nil {
			t.Fatal(err)
		}
		u.wait(t)
	}
	if len(a.withdrawn) > 0 {
		t.Errorf("%d were withdrawn", len(a.withdrawn))
	}
}

// An answer that could not be written is not given: the request still waits, until
// the agent is gone.
func TestAnswerThatIsNotWritten(t *testing.T) {
	a := fakeAsking(t)
	p := a.start()
	u, q := a.pending(t.Context(), p)
	p.input.mu.Lock()
	p.input.torn = true // as after a line that was cut short
	p.input.mu.Unlock()
	for range 2 {
		if err := p.Answer(q.ID, true, ""); !errors.Is(err, errTorn) {
			t.Errorf("got %v", err)
		}
	}
	if now := time.Now(); !p.Progress().Before(now) {
		t.Error("an agent that cannot be answered makes progress")
	}
	p.Stop()
	a.gone(q.ID)
	u.wait(t)
	if err := p.Answer(q.ID, true, ""); !errors.Is(err, ErrWithdrawn) {
		t.Errorf("got %v", err)
	}
}

// The agent may take a request back in mid-turn.
func TestAgentTakesARequestBack(t *testing.T) {
	a := fakeAsking(t)
	p := a.start()
	u, q := a.pending(t.Context(), p)
	a.says(p, `{"type":"control_cancel_request","request_id":"another"}`, `{"type":"control_cancel_request","request_id":"`+q.ID+`"}`)
	a.gone(q.ID)
	if err := p.Answer(q.ID, true, ""); !errors.Is(err, ErrWithdrawn) {
		t.Errorf("got %v", err)
	}
	p.Stop()
	u.wait(t)
}

// The number of requests of an agent at a time is limited: the rest is denied, and
// the agent goes on.
func TestTooManyRequestsAtOnce(t *testing.T) {
	a := fakeAsking(t)
	a.requests = make(chan Request, maxAsks+1)
	a.call = "ask:" + strings.TrimSpace(strings.Repeat("Bash:{} ", maxAsks))
	p := a.start()
	u, _ := a.pending(t.Context(), p)
	for range maxAsks - 1 {
		a.next()
	}
	a.says(p, `{"type":"control_request","request_id":"more","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{}}}`)
	if n := len(p.waitingAsks()); n != maxAsks || len(a.requests) != 0 {
		t.Errorf("%d wait, and %d more were asked for", n, len(a.requests))
	}
	for _, q := range p.waitingAsks() {
		if err := p.Answer(q.ID, true, ""); err != nil {
			t.Fatal(err)
		}
	}
	if res, err := u.wait(t); err != nil || res.Outcome != turn.Success {
		t.Errorf("got %+v, %v", res, err)
	}
}
