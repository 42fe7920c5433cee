package claude

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// subagentAsks is a subagent's request for permission.
const subagentAsks = `{"type":"control_request","request_id":"sub","request":{"subtype":"can_use_tool","tool_name":"Write",` +
	`"input":{ "n":1},"tool_use_id":"toolu_sub","agent_id":"a1"}}`

const subagentStarts = `{"type":"system","subtype":"task_started","task_id":"a1","subagent_type":"Explore","description":"look\naround"}`

// says has the agent write the lines, and returns when they are handled.
func (a *asked) says(p *Process, lines ...string) {
	a.t.Helper()
	f, err := os.OpenFile(p.spool.path(".out"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		a.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
		a.t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		a.t.Fatal(err)
	}
	eventually(a.t, "that it is read", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.marks.read >= info.Size()
	})
}

// The request of a subagent outlives the result of the main turn, and ends when the
// agent is idle.
func TestSubagentsRequestOutlivesTheResult(t *testing.T) {
	a := fakeAsking(t)
	p := a.start()
	u, q := a.pending(t.Context(), p)
	a.says(p, subagentStarts, subagentAsks)
	sub := a.next()
	if want := (Subagent{ID: "a1", Kind: "Explore", Task: "look around"}); sub.Subagent != want || sub.ToolUse != "toolu_sub" || q.Subagent != (Subagent{}) {
		t.Errorf("got %+v, then %+v", q, sub)
	}
	syscall.Kill(p.PID(), syscall.SIGSTOP) // or it ends the turn before we look
	p.closeRequests()
	a.gone(q.ID)
	if left := p.waitingAsks(); len(left) != 1 || left[0].ID != "sub" || len(a.withdrawn) != 0 {
		t.Errorf("left %+v", left)
	}
	syscall.Kill(p.PID(), syscall.SIGCONT)
	u.wait(t) // its end is written, and an idle line after it
	a.gone("sub")
	if err := p.Answer("sub", true, ""); !errors.Is(err, ErrWithdrawn) {
		t.Errorf("an answer: %v", err)
	}
}

// What we deny to a subagent is in no result, so that we keep it: each once, for
// the turn under way, and only what the agent was told.
func TestDenialsOfSubagentsAreKept(t *testing.T) {
	a := fakeAsking(t)
	p := a.start()
	p.requested([]byte(subagentAsks)) // no turn is under way
	if err := p.Answer(a.next().ID, false, ""); err != nil {
		t.Fatal(err)
	}
	u, q := a.pending(t.Context(), p)
	if got := p.takeDenied(); len(got) != 0 {
		t.Errorf("before the turn: %v", got)
	}
	p.requested([]byte(subagentAsks))
	p.input.mu.Lock()
	p.input.torn = true
	p.input.mu.Unlock()
	if err := p.Answer(a.next().ID, false, ""); err == nil || len(p.asks.denied) != 0 {
		t.Errorf("answer %v, kept %v", err, p.asks.denied)
	}
	p.input.mu.Lock()
	p.input.torn = false
	p.input.mu.Unlock()
	if err := p.Answer("sub", false, "why"); err != nil {
		t.Fatal(err)
	}
	if got := p.takeDenied(); len(got) != 1 || got[0].ID != "toolu_sub" || got[0].Tool != "Write" || string(got[0].Input) != `{ "n":1}` {
		t.Errorf("got %+v", got)
	}
	if err := p.Answer(q.ID, false, "why"); err != nil { // the result has this one
		t.Fatal(err)
	}
	if got := p.takeDenied(); len(got) != 0 {
		t.Errorf("twice: %+v", got)
	}
	u.wait(t)
	p.o.Ask = false
	u = begin(t, t.Context(), p, "slow:2:100ms", "assistant")
	p.noteDenied(Request{Tool: "Edit", ToolUse: "t", Subagent: Subagent{ID: "a1"}})
	u.wait(t)
	ask(t, p, "echo:next", "next")
	if got := p.takeDenied(); len(got) != 0 {
		t.Errorf("of the turn before: %+v", got)
	}
}

// realSubagent is a real agent and a message that has a subagent ask for permission.
func realSubagent(t *testing.T, background bool) *asked {
	a := realAsking(t)
	if !background {
		a.o.Env = append(a.o.Env, "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS=1")
	}
	prompt, err := encode("tool:Bash:" + a.input)
	if err != nil {
		t.Fatal(err)
	}
	a.call = fmt.Sprintf(`tool:Agent:{"description":"d1","run_in_background":%v,"subagent_type":"general-purpose","prompt":%s}`, background, prompt)
	return a
}

// A subagent in the background asks while other turns begin and end.
func TestRealSubagentsRequestOutlivesATurn(t *testing.T) {
	a := realSubagent(t, true)
	p := a.start()
	u := sending(t, t.Context(), p, a.call, func(string) {})
	q := a.next()
	if q.Tool != "Bash" || q.ToolUse == "" || q.Subagent.ID == "" || q.Subagent.Kind != "general-purpose" || q.Subagent.Task != "d1" {
		t.Errorf("got %+v", q)
	}
	before := time.Now()
	line, err := userLine(&Message{Text: "echo:other"}, NewSessionID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.write(line); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a result", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.status.answered.After(before) })
	if left := p.waitingAsks(); len(left) != 1 || len(a.withdrawn) != 0 {
		t.Fatalf("left %+v", left)
	}
	if err := p.Answer(q.ID, true, ""); err != nil {
		t.Fatal(err)
	}
	u.wait(t)
	rest(t, p)
	if len(a.withdrawn) != 0 {
		t.Errorf("withdrawn: %s", <-a.withdrawn)
	}
}

// An interrupt ends subagents, and with them what they ask for.
func TestRealInterruptWithdrawsASubagentsRequest(t *testing.T) {
	a := realSubagent(t, true)
	p := a.start()
	sending(t, t.Context(), p, a.call, func(string) {})
	q := a.next()
	if _, err := p.call(t.Context(), "interrupt"); err != nil {
		t.Fatal(err)
	}
	a.gone(q.ID)
	rest(t, p)
}

func TestRealDenialOfASubagentIsKept(t *testing.T) {
	a := realSubagent(t, false)
	p := a.start()
	u, q := a.pending(t.Context(), p)
	if q.Subagent.Kind != "general-purpose" {
		t.Errorf("got %+v", q)
	}
	if err := p.Answer(q.ID, false, "no"); err != nil {
		t.Fatal(err)
	}
	kept := p.takeDenied()
	if !slices.ContainsFunc(kept, func(d denial) bool { return d.ID == q.ToolUse && d.Tool == "Bash" }) {
		t.Errorf("kept %+v", kept)
	}
	if res, err := u.wait(t); err != nil || len(res.Denials) != 1 { // the result of a subagent in the foreground has it too
		t.Errorf("got %+v, %v", res, err)
	}
}
