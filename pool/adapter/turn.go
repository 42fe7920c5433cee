package adapter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"iris/pool/echo"
)

const (
	cancelWait  = 3 * time.Second        // for a program to end a turn that is cancelled
	cancelAgain = 300 * time.Millisecond // until it is told once more: it ignores that before the turn
)

// work is the turn that a program works on.
type work struct {
	a *adapter

	mu      sync.Mutex // protects the fields below
	t       *echo.Turn // nil when the turn is over
	answer  string     // the text since the last tool call, or since another message began
	message string     // the program's id of that message; empty if it has none
	denials []echo.Denial
	input   int64 // tokens
	output  int64
	wrong   bool            // the program reports an error, which its answer explains
	seen    map[string]bool // the tool calls that were written
}

// answer runs one turn.
func (a *adapter) answer(ctx context.Context, t *echo.Turn) echo.Reply {
	w := &work{a: a, t: t, seen: map[string]bool{}}
	a.mu.Lock()
	a.work = w
	a.mu.Unlock()
	ended := make(chan *echo.Result, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { ended <- a.prompt(w, t.Message.Text) })
	r := a.await(ctx, ended)
	dead := a.over()
	a.withdraw()
	text := w.close()
	if r == nil {
		r = echo.Success(text)
	}
	if r.IsError && *r.Result == text {
		text = "" // the program has said its error
	}
	r.PermissionDenials = w.denials
	r.Input, r.Output = w.input, w.output
	if ctx.Err() == nil { // else the result is not used, and the next one has the cost
		r.Cost = a.charge()
	}
	return echo.Reply{Text: text, Result: r, Leave: dead}
}

// over ends the turn, and reports whether the program has ended: then the session ends
// with the turn.
func (a *adapter) over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.program.done:
		a.dead = true
	default:
	}
	a.work, a.busy = nil, a.dead
	return a.dead
}

// await waits for the end of the turn, which it cancels when ctx ends.
func (a *adapter) await(ctx context.Context, ended <-chan *echo.Result) *echo.Result {
	select {
	case r := <-ended:
		return r
	case <-ctx.Done():
	}
	limit := time.NewTimer(cancelWait)
	defer limit.Stop()
	again := time.NewTicker(cancelAgain)
	defer again.Stop()
	for {
		a.withdraw()
		a.dialect.cancel()
		select {
		case r := <-ended:
			return r
		case <-again.C:
		case <-limit.C:
			a.program.kill()
			return <-ended
		}
	}
}

// prompt gives a message to the program and returns how its turn has ended, nil for a
// success.
func (a *adapter) prompt(w *work, text string) *echo.Result {
	if a.loggedOut {
		if err := a.open(context.Background()); err != nil {
			return a.failure(err)
		}
	}
	if err := a.keep(); err != nil {
		return failed(err.Error(), 0)
	}
	r, err := a.dialect.prompt(w, text)
	if err != nil {
		return a.failure(err)
	}
	return r
}

// failure is the result of a turn that ended in an error.
func (a *adapter) failure(err error) *echo.Result {
	if errors.Is(err, errLoggedOut) {
		return failed(err.Error(), 401)
	}
	if refused, ok := errors.AsType[*callError](err); ok {
		return failed("API error: "+a.program.name+": "+refused.Error(), cmp.Or(refused.status(), statusIn(refused.Error())))
	}
	return cutOff(err)
}

// close ends the turn and returns its answer. Nothing that comes later belongs to it.
func (w *work) close() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t = nil
	return w.answer
}

// do calls f unless the turn is over.
func (w *work) do(f func(*echo.Turn)) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		f(w.t)
	}
}

// text adds a piece of the answer.
func (w *work) text(piece string) {
	w.do(func(t *echo.Turn) {
		if piece != "" {
			w.answer += piece
			t.Delta(piece)
		}
	})
}

// chunk adds a piece of a message. In a turn whose messages have ids, a piece without one
// is a notice of the program.
func (w *work) chunk(id, piece string) {
	notice := false
	w.do(func(t *echo.Turn) {
		if notice = id == "" && w.message != ""; !notice && id != w.message {
			w.flush(t)
			w.message = id
		}
	})
	if notice {
		w.thought(piece)
		return
	}
	w.text(piece)
}

// thought shows that the model thinks.
func (w *work) thought(piece string) {
	w.do(func(*echo.Turn) { w.a.server.Thought(piece) })
}

// tool writes the beginning of a tool call, once. What was said before is not the answer.
func (w *work) tool(call echo.Denial) {
	w.do(func(t *echo.Turn) {
		if w.seen[call.ToolUseID] {
			return
		}
		w.seen[call.ToolUseID] = true
		w.flush(t)
		w.a.server.Blocks(map[string]any{"type": "tool_use", "id": call.ToolUseID, "name": call.ToolName, "input": object(call.ToolInput)})
	})
}

// flush writes what was said so far, which is not the answer. The caller holds w.mu.
func (w *work) flush(t *echo.Turn) {
	if w.answer != "" {
		t.Flush()
		w.answer = ""
	}
}

// toolEnded writes what a tool has returned.
func (w *work) toolEnded(id, output string, failed bool) {
	w.do(func(*echo.Turn) {
		w.a.server.User(map[string]any{"type": "tool_result", "tool_use_id": id, "content": output, "is_error": failed})
	})
}

// denied records that a tool call was denied.
func (w *work) denied(call echo.Denial) {
	w.do(func(*echo.Turn) {
		call.ToolInput = object(call.ToolInput)
		w.denials = append(w.denials, call)
	})
}

// spend sets the tokens of the turn.
func (w *work) spend(input, output int64) {
	w.do(func(*echo.Turn) { w.input, w.output = input, output })
}

// spendMore adds the tokens of one call of the model.
func (w *work) spendMore(input, output int64) {
	w.do(func(*echo.Turn) { w.input, w.output = w.input+input, w.output+output })
}

// paragraph begins another text of the model.
func (w *work) paragraph() {
	w.do(func(t *echo.Turn) { w.flush(t) })
}

// fail records that the turn has failed and that its answer explains it.
func (w *work) fail() { w.do(func(*echo.Turn) { w.wrong = true }) }

// state returns the answer so far, whether a tool was denied, and whether the turn has
// failed.
func (w *work) state() (answer string, denied, wrong bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answer, len(w.denials) > 0, w.wrong
}

// total sets what the conversation has cost so far.
func (a *adapter) total(usd float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cost = usd
}

// charge returns what the conversation has cost since it was last asked.
func (a *adapter) charge() float64 {
	a.mu.Lock()
	cost := a.cost
	a.mu.Unlock()
	was := a.session.Cost
	if cost <= was {
		return 0
	}
	a.session.Cost = cost
	if err := a.session.save(); err != nil {
		fmt.Fprintf(a.server.Stderr, "cost not recorded: %v\n", err)
	}
	return cost - was
}

// object returns raw if it is a JSON object, else an empty one.
func object(raw json.RawMessage) json.RawMessage {
	if len(raw) > 0 && raw[0] == '{' {
		return raw
	}
	return json.RawMessage("{}")
}
