package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/ipc"
)

// inOrder answers message.wait with the first requested id in order, and
// message.result with its result. When no id is left, it calls over.
func inOrder(order []string, results map[string]any, over func()) map[string]ipc.Handler {
	return map[string]ipc.Handler{
		ipc.MethodWait: func(ctx context.Context, c *ipc.Call) (any, error) {
			var p ipc.Wait
			if err := c.Bind(&p); err != nil {
				return nil, err
			}
			for _, id := range order {
				if slices.Contains(p.IDs, id) {
					return ipc.MessageState{ID: id}, nil
				}
			}
			if slices.Contains(p.IDs, "nobody") {
				return nil, wireError(ipc.CodeNotFound, "no-such-message", "nobody")
			}
			return stuck(over)(ctx, c)
		},
		ipc.MethodResult: func(_ context.Context, c *ipc.Call) (any, error) {
			var p ipc.MessageRef
			if err := c.Bind(&p); err != nil {
				return nil, err
			}
			if err, ok := results[p.ID].(error); ok {
				return nil, err
			}
			return results[p.ID], nil
		},
		ipc.MethodShow: func(_ context.Context, c *ipc.Call) (any, error) {
			var p ipc.MessageRef
			if err := c.Bind(&p); err != nil || p.ID == "nobody" {
				return nil, wireError(ipc.CodeNotFound, "no-such-message", "nobody")
			}
			return ipc.Message{Team: "api", Session: "s"}, nil
		},
	}
}

func TestWait(t *testing.T) {
	failed := succeeded("m2", "oh")
	failed.Outcome, failed.Error = "failed", "it broke"
	withSession := succeeded("m3", "three\n")
	withSession.Session = "s"
	results := map[string]any{
		"m1": succeeded("m1", "one"), "m2": failed, "m3": withSession, "m4": wireError(ipc.CodeExpired, "expired", "m4"),
	}
	for _, c := range []struct {
		name, ids, order string
		opts             waitOptions
		stdout, stderr   string
		status           int
	}{
		{name: "one", ids: "m1", order: "m1", stdout: "one\n"},
		{name: "twice the same", ids: "m1 m1", order: "m1", stdout: "one\n"},
		{name: "one that failed", ids: "m2", order: "m2", stderr: "iris: it broke\n", status: 1},
		{name: "one that has none", ids: "m4", order: "m4", stderr: "iris: said expired\n", status: 6},
		{name: "not there", ids: "nobody", stderr: "iris: said no-such-message\n", status: 4},
		{
			name: "as they end", ids: "m1 m3", order: "m3 m1",
			stdout: "==> m3 api@s <==\nthree\n\n==> m1 api <==\none\n",
		},
		{
			name: "the first in order that is not 0", ids: "m1 nobody m4 m2", order: "m2 m4 m1",
			stdout: "==> m1 api <==\none\n",
			stderr: "iris: message m2: it broke\niris: message m4: said expired\niris: message nobody: said no-such-message\n",
			status: 4,
		},
		{name: "any", ids: "m2 m1", order: "m1 m2", opts: waitOptions{any: true}, stdout: "==> m1 api <==\none\n"},
		{
			name: "cut short", ids: "m1 m5 m6", order: "m1", opts: waitOptions{timeout: seconds(time.Hour)},
			stdout: "==> m1 api <==\none\n",
			stderr: "iris: no answer within 1h; 2 messages have not ended: m5 m6\niris: hint: \"iris wait ID...\" waits for them\n",
			status: 124,
		},
		{
			name: "json", ids: "m1 m4 m5", order: "m1 m4", opts: waitOptions{outputOptions: outputOptions{json: true}, timeout: seconds(time.Hour)},
			stdout: `{"id":"m1","team":"api","session":"","session_id":"","outcome":"success","text":"one","turns":0,"cost_usd":0,"duration_ms":0,` +
				`"usage":{"input_tokens":0,"output_tokens":0,"cache_read_tokens":0,"cache_write_tokens":0},"status":0}` + "\n" +
				`{"id":"m4","team":"api","session":"s","outcome":"none","error":"said expired","reason":"expired","status":6}` + "\n" +
				`{"id":"m5","team":"api","session":"s","outcome":"none","error":"no answer within 1h; message m5 has not ended",` +
				`"hint":"\"iris wait m5\" waits for it, \"iris cancel m5\" ends it","status":124}` + "\n",
			stderr: "iris: message m4: said expired\niris: no answer within 1h; message m5 has not ended\n" +
				"iris: hint: \"iris wait m5\" waits for it, \"iris cancel m5\" ends it\n",
			status: 124,
		},
	} {
		ctx, expire := expiring(t)
		_, g := newStub(t, inOrder(strings.Fields(c.order), results, expire))
		c.opts.globals = g
		var stdout, stderr strings.Builder
		code := report(&stderr, runWait(ctx, &c.opts, strings.Fields(c.ids), streams{nil, &stdout, &stderr}))
		if stdout.String() != c.stdout || stderr.String() != c.stderr || code != c.status {
			t.Errorf("%s: got status %d,\n%s\n%s\nwant %d,\n%s\n%s", c.name, code, &stdout, &stderr, c.status, c.stdout, c.stderr)
		}
	}
}

func TestWaitOutlivesTheDaemon(t *testing.T) {
	results := map[string]any{"m1": succeeded("m1", "one"), "m2": succeeded("m2", "two")}
	s, g := newStub(t, inOrder([]string{"m1", "m2"}, results, func() {}))
	waits := 0
	answer := s.handle[ipc.MethodWait]
	s.handle[ipc.MethodWait] = func(ctx context.Context, c *ipc.Call) (any, error) {
		if waits++; waits%2 == 1 {
			return s.lost(ctx, c)
		}
		return answer(ctx, c)
	}
	s.kill()
	s.start()
	var stdout, stderr strings.Builder
	err := runWait(t.Context(), &waitOptions{globals: g}, []string{"m2", "m1"}, streams{nil, &stdout, &stderr})
	if err != nil || stdout.String() != "==> m1 api <==\none\n\n==> m2 api <==\ntwo\n" || waits != 4 {
		t.Errorf("got %s, %s, %v after %d waits", &stdout, &stderr, err, waits)
	}
}

func TestWaitWithoutDaemon(t *testing.T) {
	s, g := newStub(t, nil)
	s.kill()
	var stdout, stderr strings.Builder
	err := runWait(t.Context(), &waitOptions{globals: g}, []string{"m1"}, streams{nil, &stdout, &stderr})
	if code := report(&stderr, err); code != ipc.CodeDaemon || !strings.HasPrefix(stderr.String(), "iris: no daemon is running\n") {
		t.Errorf("got %d, %s", code, &stderr)
	}
}

func TestResultThatIsNotThereYet(t *testing.T) {
	_, g := newStub(t, map[string]ipc.Handler{ipc.MethodResult: says(nil, wireError(ipc.CodeFull, "not-ended", "m1"))})
	err := runResult(t.Context(), &resultOptions{globals: g}, []string{"m1"}, streams{})
	if status(err) != ipc.CodeFull || hint(err) != `"iris wait m1" waits for it` {
		t.Errorf("got %v, status %d, hint %q", err, status(err), hint(err))
	}
}

func TestRetry(t *testing.T) {
	s, g := newStub(t, map[string]ipc.Handler{
		ipc.MethodRetry:  says(ipc.MessageState{ID: "m2", State: "queued"}, nil),
		ipc.MethodResult: says(succeeded("m2", "done"), nil),
	})
	var once sync.Once
	s.handle[ipc.MethodWait] = func(ctx context.Context, c *ipc.Call) (any, error) {
		first := false
		once.Do(func() { first = true })
		if first {
			return s.lost(ctx, c)
		}
		return ipc.MessageState{ID: "m2", State: "done"}, nil
	}
	s.kill()
	s.start()
	for detach, want := range map[bool]string{true: "m2\n", false: "done\n"} {
		var stdout strings.Builder
		err := runRetry(t.Context(), &retryOptions{globals: g, detach: detach}, []string{"m1"}, streams{nil, &stdout, &stdout})
		if err != nil || stdout.String() != want {
			t.Errorf("detach %v: got %q, %v", detach, &stdout, err)
		}
	}
	if n := strings.Count(s.called(), ipc.MethodRetry); n != 2 {
		t.Errorf("asked %d times for two", n)
	}
}
