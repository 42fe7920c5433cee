package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"iris/ipc"
)

// never waits until the caller is gone, after it has told how far the message is.
func never(state string) ipc.Handler {
	return func(ctx context.Context, c *ipc.Call) (any, error) {
		var m ipc.Send
		c.Bind(&m)
		if state != "" {
			c.Notify(ipc.NotifyState, ipc.MessageState{ID: m.ID, State: state})
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
}

// What a tool is told is what the daemon gets.
func TestSendIsWhatTheToolWasTold(t *testing.T) {
	var got ipc.Send
	_, s := newDaemon(t, map[string]ipc.Handler{
		ipc.MethodSend: func(_ context.Context, c *ipc.Call) (any, error) {
			err := c.Bind(&got)
			return ipc.Reply{ID: got.ID, Outcome: "denied", Text: "yes", CostUSD: 0.5, Denials: []ipc.Denial{{Tool: "Bash"}}, Notice: "n"}, err
		},
		ipc.MethodSubmit: func(_ context.Context, c *ipc.Call) (any, error) {
			err := c.Bind(&got)
			return ipc.MessageState{ID: got.ID, State: "queued"}, err
		},
	})
	out, failed := s.use(t, "send_message", map[string]any{"to": "api@review", "message": "x", "key": "k", "fresh": true, "model": "m"})
	has(t, out, failed, `{"answer":"yes","cost_usd":0.5,"denied":["Bash"],"id":"`+got.ID+`","note":"n","state":"done"}`)
	if got.Team != "api" || got.Session != "review" || got.Text != "x" || got.Key != "k" || !got.Fresh || got.Options.Model != "m" || got.Origin != "mcp" {
		t.Errorf("got %+v", got)
	}
	out, failed = s.use(t, "send_message", map[string]any{"to": "api", "session": "s", "message": "y", "wait": "0"})
	has(t, out, failed, `{"id":"`+got.ID+`","note":"wait_message with this id gets the answer","state":"queued"}`)
	if got.Session != "s" || got.Text != "y" {
		t.Errorf("got %+v", got)
	}
}

func TestFailuresAreAnswersWithTheirReason(t *testing.T) {
	for _, r := range []ipc.Reply{{Outcome: "api-error", Error: "overloaded"}, {Outcome: "overloaded"}} {
		_, s := newDaemon(t, map[string]ipc.Handler{ipc.MethodSend: says(r)})
		out, failed := s.use(t, "send_message", map[string]any{"to": "api", "message": "x"})
		has(t, out, failed, `{"error":"overloaded","id":"","state":"failed"}`)
	}
}

// At the end of the wait the id is what counts, and the message is left alone.
func TestWaitHasAnEnd(t *testing.T) {
	d, s := newDaemon(t, map[string]ipc.Handler{ipc.MethodSend: never("running"), ipc.MethodCancel: says(nil)})
	out, failed := s.use(t, "send_message", map[string]any{"to": "api", "message": "x", "wait": "100ms"})
	if out["state"] != "running" || out["note"] != later || len(out["id"].(string)) != 16 {
		t.Errorf("got %v %s", out, failed)
	}
	if got := d.called(); got != "message.send" {
		t.Errorf("got %s", got)
	}
	_, s = newDaemon(t, map[string]ipc.Handler{ipc.MethodSend: never("")})
	if _, failed := s.use(t, "send_message", map[string]any{"to": "api", "message": "x", "wait": "50ms"}); !strings.Contains(failed, "get_result tells what became of it") || !strings.HasPrefix(failed, "message 0") {
		t.Errorf("got %s", failed)
	}
}

// A message that is held says what it waits for.
func TestNoteSaysWhatAMessageWaitsFor(t *testing.T) {
	held := ipc.MessageState{ID: "m1", State: "queued", WaitsFor: "the terminal of a person"}
	_, s := newDaemon(t, map[string]ipc.Handler{ipc.MethodSubmit: says(held)})
	out, failed := s.use(t, "send_message", map[string]any{"to": "api", "message": "x", "wait": "0"})
	if out["note"] != "it waits for the terminal of a person; "+later {
		t.Errorf("got %v %s", out, failed)
	}
}

// A call that waits says so as long as it does.
func TestProgressWhileItWaits(t *testing.T) {
	enough := make(chan bool)
	_, s := newDaemon(t, map[string]ipc.Handler{ipc.MethodSend: func(_ context.Context, c *ipc.Call) (any, error) {
		var m ipc.Send
		c.Bind(&m)
		c.Notify(ipc.NotifyState, ipc.MessageState{ID: "m1", State: "queued", Position: 2})
		<-enough
		return ipc.Reply{ID: m.ID, Outcome: "success", Text: "yes"}, nil
	}})
	var mu sync.Mutex
	var all []*mcp.ProgressNotificationParams
	answer := sync.OnceFunc(func() { close(enough) })
	session := s.session(t, func(p *mcp.ProgressNotificationParams) {
		mu.Lock()
		defer mu.Unlock()
		if all = append(all, p); p.Message == "m1 queued, number 2" && len(all) > 2 {
			answer()
		}
	})
	p := &mcp.CallToolParams{Name: "send_message", Arguments: map[string]any{"to": "api", "message": "x", "wait": "10m"}}
	p.SetProgressToken("t")
	out, failed := called(t, session, p)
	if out["answer"] != "yes" {
		t.Errorf("got %v %s", out, failed)
	}
	mu.Lock()
	defer mu.Unlock()
	for i, p := range all {
		if p.ProgressToken != "t" || p.Total != 600 || i > 0 && p.Progress <= all[i-1].Progress {
			t.Errorf("got %+v", p)
		}
	}
}

// Whatever is lost between two daemons, the message is sent once and its answer comes.
func TestDaemonIsLostWhileItWaits(t *testing.T) {
	for _, heard := range []bool{true, false} {
		t.Run(fmt.Sprint("heard ", heard), func(t *testing.T) {
			var mu sync.Mutex
			var ids []string
			again := false
			sent := make(chan bool)
			handle := map[string]ipc.Handler{
				ipc.MethodSend: func(ctx context.Context, c *ipc.Call) (any, error) {
					var m ipc.Send
					c.Bind(&m)
					mu.Lock()
					ids = append(ids, m.ID)
					second := again
					mu.Unlock()
					if second {
						return ipc.Reply{ID: m.ID, Outcome: "success", Text: "yes"}, nil
					}
					if heard {
						c.NotifyWait(ipc.NotifyState, ipc.MessageState{ID: m.ID, State: "running"})
					}
					close(sent)
					<-ctx.Done()
					return nil, ctx.Err()
				},
				ipc.MethodWait: func(_ context.Context, c *ipc.Call) (any, error) {
					var w ipc.Wait
					err := c.Bind(&w)
					return ipc.MessageState{ID: w.IDs[0], State: "done"}, err
				},
				ipc.MethodResult: func(_ context.Context, c *ipc.Call) (any, error) {
					var ref ipc.MessageRef
					err := c.Bind(&ref)
					return ipc.Reply{ID: ref.ID, Outcome: "success", Text: "yes"}, err
				},
			}
			d, s := newDaemon(t, handle)
			var wg sync.WaitGroup
			wg.Go(func() {
				<-sent
				time.Sleep(50 * time.Millisecond) // the state is read by then, or the id is sent again
				d.kill()
				mu.Lock()
				again = true
				mu.Unlock()
				d.start()
			})
			out, failed := s.use(t, "send_message", map[string]any{"to": "api", "message": "x"})
			wg.Wait()
			if out["answer"] != "yes" || out["id"] != ids[0] {
				t.Errorf("got %v %s", out, failed)
			}
			for _, id := range ids {
				if id != ids[0] {
					t.Errorf("sent as %v", ids)
				}
			}
			want := "message.send message.wait message.result"
			if !heard {
				want = "message.send message.send"
			}
			if got := d.called(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// The daemon may want another id, since the clock was set.
func TestDaemonChoosesTheID(t *testing.T) {
	_, s := newDaemon(t, map[string]ipc.Handler{ipc.MethodSend: func(_ context.Context, c *ipc.Call) (any, error) {
		var m ipc.Send
		c.Bind(&m)
		if m.ID != "m2" {
			return nil, &ipc.Error{Code: ipc.CodeConflict, Message: "no", Data: &ipc.Data{Reason: "other-id", ID: "m2"}}
		}
		return ipc.Reply{ID: "m2", Outcome: "success", Text: "yes"}, nil
	}})
	out, failed := s.use(t, "send_message", map[string]any{"to": "api", "message": "x"})
	has(t, out, failed, `{"answer":"yes","id":"m2","state":"done"}`)
}

// The client may stop to wait: the connection ends, and the message is not touched.
func TestCancelledCallLeavesTheMessage(t *testing.T) {
	begun, gone := make(chan bool), make(chan bool)
	d, s := newDaemon(t, map[string]ipc.Handler{ipc.MethodSend: func(ctx context.Context, c *ipc.Call) (any, error) {
		close(begun)
		<-ctx.Done()
		close(gone)
		return nil, ctx.Err()
	}, ipc.MethodCancel: says(nil)})
	session := s.session(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		<-begun
		cancel()
	})
	if _, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "send_message", Arguments: map[string]any{"to": "api", "message": "x"}}); err == nil {
		t.Error("it has ended well")
	}
	wg.Wait()
	<-gone
	if got := d.called(); got != "message.send" {
		t.Errorf("got %s", got)
	}
}

// A long answer comes in parts that are its text when they are put together.
func TestLongAnswersComeInParts(t *testing.T) {
	text := strings.Repeat("aé€😀", 20000)
	_, s := newDaemon(t, map[string]ipc.Handler{ipc.MethodResult: says(ipc.Reply{ID: "m1", Outcome: "success", Text: text})})
	var all strings.Builder
	for offset, parts := 0, 0; ; parts++ {
		out, failed := s.use(t, "get_result", map[string]any{"id": "m1", "offset": offset})
		part, _ := out["answer"].(string)
		if failed != "" || part == "" || len(part) > maxAnswer || parts > 9 {
			t.Fatalf("got %d bytes, %s", len(part), failed)
		}
		all.WriteString(part)
		next, more := out["next_offset"].(float64)
		if !more {
			break
		}
		if out["bytes"] != float64(len(text)) {
			t.Errorf("got %v bytes", out["bytes"])
		}
		offset = int(next)
	}
	if all.String() != text {
		t.Errorf("got %d bytes, want %d", all.Len(), len(text))
	}
	for _, offset := range []int{-1, len(text) + 1} {
		if _, failed := s.use(t, "get_result", map[string]any{"id": "m1", "offset": offset}); !strings.Contains(failed, fmt.Sprint("offset is ", offset)) {
			t.Errorf("got %s", failed)
		}
	}
}

// Of several messages each has its answer or its reason, whatever became of the others.
func TestWaitForSeveral(t *testing.T) {
	none := fails(ipc.CodeNotFound, "no-such-message", `no message "none"`)
	show := func(ctx context.Context, c *ipc.Call) (any, error) {
		var ref ipc.MessageRef
		c.Bind(&ref)
		if ref.ID == "none" {
			return none(ctx, c)
		}
		return ipc.Message{ID: ref.ID, State: map[string]string{"ran": "running", "failed": "failed", "own": "queued"}[ref.ID]}, nil
	}
	d, s := newDaemon(t, map[string]ipc.Handler{
		ipc.MethodShow: show,
		ipc.MethodWait: func(_ context.Context, c *ipc.Call) (any, error) {
			var w ipc.Wait
			c.Bind(&w)
			if len(w.IDs) == 1 && w.IDs[0] == "own" {
				return fails(ipc.CodeFull, "deadlock", "deadlock: it is of the same session")(nil, nil)
			}
			return ipc.MessageState{ID: w.IDs[0], State: "done"}, nil
		},
		ipc.MethodResult: func(ctx context.Context, c *ipc.Call) (any, error) {
			var ref ipc.MessageRef
			c.Bind(&ref)
			switch ref.ID {
			case "none":
				return none(ctx, c)
			case "ran", "own":
				return fails(ipc.CodeFull, "not-ended", "message is running")(nil, nil)
			case "failed":
				return fails(ipc.CodeCancelled, "killed", "the agent was killed")(nil, nil)
			}
			return ipc.Reply{ID: ref.ID, Outcome: "success", Text: strings.Repeat("x", maxAnswer)}, nil
		},
	})
	out, failed := s.use(t, "wait_message", map[string]any{"ids": []string{"one", "none", "failed", "own"}})
	list, _ := out["messages"].([]any)
	if failed != "" || len(list) != 4 {
		t.Fatalf("got %v %s", out, failed)
	}
	if one := list[0].(map[string]any); one["state"] != "done" || len(one["answer"].(string)) != maxAnswer/4 || one["next_offset"] != float64(maxAnswer/4) {
		t.Errorf("got %v", one)
	}
	has(t, list[1].(map[string]any), "", `{"error":"no message \"none\". list_messages lists your messages","id":"none","state":"none"}`)
	has(t, list[2].(map[string]any), "", `{"error":"the agent was killed","id":"failed","state":"failed"}`)
	if own := list[3].(map[string]any); own["state"] != "queued" || !strings.Contains(own["error"].(string), "end your turn") {
		t.Errorf("got %v", own)
	}
	before := strings.Count(d.called(), ipc.MethodWait)
	out, failed = s.use(t, "wait_message", map[string]any{"ids": []string{"one", "ran"}, "any": true})
	list, _ = out["messages"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["state"] != "done" || list[1].(map[string]any)["state"] != "running" {
		t.Errorf("got %v %s", out, failed)
	}
	if n := strings.Count(d.called(), ipc.MethodWait) - before; n != 1 {
		t.Errorf("waited %d times", n)
	}
	s.use(t, "wait_message", map[string]any{"ids": []string{"ran"}, "wait": "0"})
	if n := strings.Count(d.called(), ipc.MethodWait) - before; n != 1 {
		t.Errorf("to look is no wait: waited %d times", n)
	}
	if _, failed := s.use(t, "wait_message", map[string]any{"ids": []string{}}); failed != "0 ids: give 1 to 100" {
		t.Errorf("got %s", failed)
	}
}

// What cannot be is refused at once, with what to write instead, and the daemon is not asked.
func TestBadInputIsToldAtOnce(t *testing.T) {
	d, s := newDaemon(t, nil)
	for _, c := range []struct {
		args map[string]any
		want string
	}{
		{map[string]any{"to": "/tmp", "message": "x"}, `"/tmp" is a directory, and a message goes to a team. list_teams`},
		{map[string]any{"to": "@s", "message": "x"}, "the name of the team is empty. list_teams"},
		{map[string]any{"to": "a@s", "session": "t", "message": "x"}, "Leave one out"},
		{map[string]any{"to": "a", "message": "x", "wait": "soon"}, `wait is "soon": write it like 90s`},
		{map[string]any{"to": "a", "message": "x", "wait": "25h"}, "at most 24h"},
		{map[string]any{"to": "a", "message": "x", "wait": "-1s"}, `wait is "-1s"`},
		{map[string]any{"to": "a"}, `missing properties: ["message"]`},
		{map[string]any{"to": "a", "message": "x", "from": "b"}, "from"},
	} {
		if _, failed := s.use(t, "send_message", c.args); !strings.Contains(failed, c.want) {
			t.Errorf("%v: got %s, want %s", c.args, failed, c.want)
		}
	}
	if got := d.called(); got != "" {
		t.Errorf("got %s", got)
	}
}

// Each error of the daemon has a word on what to do.
func TestErrorsSayWhatToDo(t *testing.T) {
	for reason, next := range nextSteps {
		_, s := newDaemon(t, map[string]ipc.Handler{ipc.MethodSend: fails(1, reason, "it is so")})
		if _, failed := s.use(t, "send_message", map[string]any{"to": "api", "message": "x"}); failed != "it is so. "+next {
			t.Errorf("%s: got %s", reason, failed)
		}
	}
	hinted := &ipc.Error{Message: "it is so", Data: &ipc.Data{Hint: "do that", ID: "m1"}}
	if got := explain(hinted).Error(); got != "it is so (message m1). Hint for the person: do that" {
		t.Errorf("got %s", got)
	}
}

// A call that waits keeps no other one from its answer.
func TestCallsAtTheSameTime(t *testing.T) {
	_, s := newDaemon(t, map[string]ipc.Handler{
		ipc.MethodSend: never("running"), ipc.MethodCaller: says(ipc.Caller{}), ipc.MethodMessages: says(ipc.MessageList{}),
	})
	session := s.session(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		session.CallTool(ctx, &mcp.CallToolParams{Name: "send_message", Arguments: map[string]any{"to": "api", "message": "x"}})
	})
	out, failed := called(t, session, &mcp.CallToolParams{Name: "list_messages", Arguments: map[string]any{}})
	has(t, out, failed, `{"messages":[]}`)
	cancel()
	wg.Wait()
}
