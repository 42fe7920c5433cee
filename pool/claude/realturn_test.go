package claude

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/pool/claude/claudetest"
	"iris/pool/turn"
)

// told keeps the reports of an agent.
type told struct {
	mu   sync.Mutex
	own  []OwnTurn
	work []string
}

func (r *rig) tell() *told {
	var l told
	r.o.OnOwnTurn = func(_ *Process, o OwnTurn) { l.mu.Lock(); defer l.mu.Unlock(); l.own = append(l.own, o) }
	r.o.OnWorking = func(_ *Process, on string) { l.mu.Lock(); defer l.mu.Unlock(); l.work = append(l.work, on) }
	return &l
}

func (l *told) turns() []OwnTurn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]OwnTurn(nil), l.own...)
}

func (l *told) working() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.work...)
}

// subagent is a message whose subagent ends when the gate opens. It runs in the
// background, which is the default of 2.1.332.
func subagent(gate, answer string) string {
	input, err := json.Marshal(map[string]any{
		"description": "looks into it", "prompt": "after:@" + gate + ":echo:" + answer,
		"subagent_type": "general-purpose", "run_in_background": true,
	})
	if err != nil {
		panic(err)
	}
	return "tool:Agent:" + string(input)
}

// The answer of a message whose subagents work in the background has what they report.
func TestRealSubagentIsWaitedFor(t *testing.T) {
	r := realRig(t)
	l := r.tell()
	p := r.start()
	gated, open := gate(t)
	u := sending(t, context.Background(), p, subagent(gated, "sub answer"), nil)
	firstAnswer(t, p, u)
	if !p.lifecycleNow() { // it says idle all the same
		eventually(t, "idle", func() bool { return p.WaitIdle(t.Context()) == nil })
	}
	select {
	case <-u.done:
		t.Fatalf("over: %+v, %v", u.res, u.err)
	default:
	}
	open()
	res, err := u.wait(t)
	if err != nil || res.Outcome != turn.Success {
		t.Fatalf("got %+v, %v", res, err)
	}
	if !strings.Contains(res.Text, "sub answer") || len(res.Earlier) != 1 || !strings.Contains(res.Earlier[0], "tool said") {
		t.Errorf("got %q after %q", res.Text, res.Earlier)
	}
	if len(l.turns()) > 0 || len(res.Background) > 0 {
		t.Errorf("own turns %+v, left %v", l.turns(), res.Background)
	}
	ask(t, p, "echo:next", "next")
}

// firstAnswer waits until the agent has answered, whether or not that is the end.
func firstAnswer(t *testing.T, p *Process, u *under) {
	t.Helper()
	eventually(t, "the first answer", func() bool {
		select {
		case <-u.done:
			return true
		default:
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.current.turn != nil && p.current.turn.waiting
	})
}

func (p *Process) lifecycleNow() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status.lifecycle
}

// With NoBackgroundWait the sender has the first answer; the agent works on, and
// answers the next message meanwhile if it can tell them apart.
func TestRealSubagentIsNotWaitedFor(t *testing.T) {
	r := realRig(t)
	l := r.tell()
	p := r.start()
	gated, open := gate(t)
	res, err := p.Send(context.Background(), &Message{Text: subagent(gated, "sub answer"), NoBackgroundWait: true})
	if err != nil || len(res.Earlier) > 0 || !strings.Contains(res.Text, "tool said") || len(res.Background) != 1 {
		t.Fatalf("got %+v, %v", res, err)
	}
	eventually(t, "word of it", func() bool {
		w := l.working()
		return len(w) > 0 && w[len(w)-1] == "subagents: looks into it"
	})
	ask(t, p, "echo:meanwhile", "meanwhile")
	open()
	eventually(t, "the report", func() bool { return len(l.turns()) == 1 })
	if o := l.turns()[0]; o.Origin != OriginTask || o.CostUSD <= 0 || p.lifecycleNow() && !strings.Contains(o.Text, "sub answer") {
		t.Errorf("got %+v", o)
	}
	eventually(t, "rest", func() bool { return p.WaitIdle(t.Context()) == nil })
	if w := l.working(); len(w) == 0 || w[len(w)-1] != "" {
		t.Errorf("works on %q", w)
	}
}

// A message that is cancelled while subagents work for it ends as cancelled, and the
// subagents end.
func TestRealCancelWhileASubagentWorks(t *testing.T) {
	r := realRig(t)
	p := r.start()
	gated, _ := gate(t)
	ctx, cancel := context.WithCancel(context.Background())
	u := sending(t, ctx, p, subagent(gated, "x"), nil)
	firstAnswer(t, p, u)
	cancel()
	res, err := u.wait(t)
	if err != nil || res.Outcome != turn.Interrupted {
		t.Errorf("got %+v, %v", res, err)
	}
	ask(t, p, "echo:next", "next")
}

// hooks makes a directory whose settings have one hook, a shell command.
func (r *rig) hook(event, command string) {
	r.t.Helper()
	settings, err := json.Marshal(map[string]any{"hooks": map[string]any{
		event: []any{map[string]any{"hooks": []any{map[string]any{"type": "command", "command": command}}}},
	}})
	dir := filepath.Join(r.o.Dir, ".claude")
	if err = errors.Join(err, os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "settings.json"), settings, 0o600)); err != nil {
		r.t.Fatal(err)
	}
}

// Each row is a turn that did not end with the model's own last word.
func TestRealEndings(t *testing.T) {
	for name, c := range map[string]struct {
		event, hook, text string
		outcome           turn.Outcome
		answer, err       string
	}{
		"a hook blocks the message":        {"UserPromptSubmit", "echo not here >&2; exit 2", "echo:x", turn.Incomplete, "", "not here"},
		"a hook decides against it":        {"UserPromptSubmit", `echo '{"decision":"block","reason":"because"}'`, "echo:x", turn.Incomplete, "", "because"},
		"a hook ends all":                  {"UserPromptSubmit", `echo '{"continue":false,"stopReason":"stop it"}'`, "echo:x", turn.Incomplete, "", "stop it"},
		"a hook puts a tool off":           {"PreToolUse", `echo '{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"defer"}}'`, `tool:Bash:{"command":"true","description":"d"}`, turn.Denied, "", "denied: Bash"},
		"a hook does not let the turn end": {"Stop", "echo go on >&2; exit 2", "echo:said", turn.Success, "said\n\n", ""},
		"tokens at their limit":            {"", "", "max:one |two", turn.Success, "one two", ""},
		"a text before a turn limit":       {"", "", `say:let me see|tool:Bash:{"command":"true","description":"d"}`, turn.Limit, "let me see", "turn limit"},
	} {
		t.Run(name, func(t *testing.T) {
			r := realRig(t)
			if c.event != "" {
				r.hook(c.event, c.hook)
			}
			if c.outcome == turn.Limit {
				r.o.Args = append(r.o.Args, "--max-turns=1")
			}
			res := send(t, r.start(), c.text)
			if res.Outcome != c.outcome || !strings.HasPrefix(res.Text, c.answer) || c.answer == "" && res.Text != "" || !strings.Contains(res.Err, c.err) {
				t.Errorf("got %s, %q, %q", res.Outcome, res.Text, res.Err)
			}
		})
	}
}

// Cancelled while a Stop hook hangs is cancelled: at once, or when the hook is over.
func TestRealCancelWhileAStopHookHangs(t *testing.T) {
	r := realRig(t)
	r.hook("Stop", "sleep 3")
	p := r.start()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	res, err := sending(t, ctx, p, "echo:x", func(line string) {
		if strings.Contains(line, `"type":"assistant"`) {
			cancel()
		}
	}).wait(t)
	if err != nil || res.Outcome != turn.Interrupted {
		t.Errorf("got %+v, %v", res, err)
	}
}

// What iris says that messages have cost is what the API was asked for: over a new
// process of the conversation, /clear, an interrupt and a subagent.
func TestRealCostsAreWhatTheAPICounted(t *testing.T) {
	r := realRig(t)
	l := r.tell()
	p := r.start()
	var sum turn.Usage
	count := func(res *turn.Result) { sum = sum.Plus(res.Usage) }
	for range 2 {
		count(send(t, p, "echo:one"))
		count(send(t, p, "echo:two"))
		p.Stop()
		p.ResultRecorded()
		p = r.again()
	}
	count(send(t, p, "/clear"))
	r.o.SessionID = p.Session()
	before := len(r.stub.Requests())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	res, err := sending(t, ctx, p, "slow:1000:20ms", func(line string) {
		if strings.Contains(line, "text_delta") {
			cancel()
		}
	}).wait(t)
	if err != nil {
		t.Fatal(err)
	}
	broken := r.stub.Requests()[before:]
	count(res)
	gated, open := gate(t)
	open()
	count(send(t, p, subagent(gated, "sub")))
	count(send(t, p, "echo:last"))
	p.Stop()
	for _, o := range l.turns() {
		sum = sum.Plus(o.Usage)
	}
	in, out := charged(r.stub.Requests())
	cutIn, cutOut := charged(broken)
	switch extra := sum.Output - out; { // what had come of the answer that was broken off, the stub does not know
	case sum.Input == in && extra >= 0 && extra < 1000:
	case sum.Input == in-cutIn && sum.Output == out-cutOut: // the old program does not charge it
	default:
		t.Errorf("counted %+v; the stub %d in, %d out, of which for what was broken off %d in, %d out", sum, in, out, cutIn, cutOut)
	}
}

func charged(log []claudetest.Request) (in, out int64) {
	for _, q := range log {
		in, out = in+int64(q.Input), out+int64(q.Output)
	}
	return in, out
}

// A turn that the agent's scheduler begins is not the answer to a message that is sent
// at that moment, and is priced apart. It takes over a minute.
func TestRealSchedulersTurnIsNoAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: takes over a minute")
	}
	r := realRig(t)
	l := r.tell()
	p := r.start()
	res := send(t, p, `tool:CronCreate:{"cron":"* * * * *","prompt":"after:300ms:echo:from the scheduler","recurring":true}`)
	if !strings.Contains(res.Text, "Scheduled") {
		t.Fatalf("got %+v", res)
	}
	began := time.Now()
	for n := 0; len(l.turns()) < 1 && time.Since(began) < 3*time.Minute; n++ {
		res, err := p.Send(context.Background(), &Message{Text: "echo:mine"})
		if err != nil || res.Text != "mine" {
			t.Fatalf("message %d: got %+v, %v", n, res, err)
		}
	}
	own := l.turns()
	if len(own) == 0 || own[0].Origin != OriginScheduler || own[0].Text != "from the scheduler" || own[0].CostUSD <= 0 {
		t.Errorf("got %+v", own)
	}
}
