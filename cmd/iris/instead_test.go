package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"iris/ipc"
)

const sentAgain = "iris: nobody knows how message m1 ended; it was sent again as m2\n"

// instead is what a daemon tells of m2, which it has sent in the place of m1.
func instead(state string) ipc.MessageState {
	return ipc.MessageState{ID: "m2", State: state, InsteadOf: "m1"}
}

// waitsFor answers message.wait with the first of the states whose message, or the
// one that it is in the place of, is waited for.
func waitsFor(states ...ipc.MessageState) ipc.Handler {
	return func(_ context.Context, c *ipc.Call) (any, error) {
		var p ipc.Wait
		if err := c.Bind(&p); err != nil {
			return nil, err
		}
		for _, st := range states {
			if slices.Contains(p.IDs, st.ID) || slices.Contains(p.IDs, st.InsteadOf) {
				return st, nil
			}
		}
		return nil, wireError(ipc.CodeNotFound, "no-such-message", p.IDs[0])
	}
}

func TestWaitGoesOnWithTheMessageThatWasSentAgain(t *testing.T) {
	failed := succeeded("m2", "oh")
	failed.Outcome, failed.Error = "failed", "it broke"
	for _, c := range []struct {
		ids            string
		second         ipc.Reply
		json           bool
		stdout, stderr string
		status         int
	}{
		{ids: "m1", second: succeeded("m2", "two"), stdout: "two\n", stderr: sentAgain},
		{ids: "m1", second: failed, stderr: sentAgain + "iris: it broke\n", status: 1},
		{
			ids: "m3 m1", second: succeeded("m2", "two"), stderr: sentAgain,
			stdout: "==> m2 api <==\ntwo\n\n==> m3 api <==\nthree\n",
		},
		{
			ids: "m3 m1", second: failed, stderr: sentAgain + "iris: message m2: it broke\n",
			stdout: "==> m3 api <==\nthree\n", status: 1,
		},
		{ids: "m1 m2", second: failed, stderr: sentAgain + "iris: message m2: it broke\n", status: 1},
		{
			ids: "m1", second: succeeded("m2", "two"), json: true, stderr: sentAgain,
			stdout: `{"id":"m2","team":"api","session":"","session_id":"","outcome":"success","text":"two","turns":0,"cost_usd":0,"duration_ms":0,` +
				`"usage":{"input_tokens":0,"output_tokens":0,"cache_read_tokens":0,"cache_write_tokens":0},"retry_of":"m1","status":0}` + "\n",
		},
	} {
		handle := inOrder(nil, map[string]any{"m2": c.second, "m3": succeeded("m3", "three")}, nil)
		handle[ipc.MethodWait] = waitsFor(instead("done"), ipc.MessageState{ID: "m3", State: "done"})
		_, g := newStub(t, handle)
		var stdout, stderr strings.Builder
		g.stderr = func() io.Writer { return &stderr }
		err := runWait(t.Context(), waitOptions{globals: g, outputOptions: outputOptions{json: c.json}}, strings.Fields(c.ids), nil, &stdout, &stderr)
		if code := report(&stderr, err); stdout.String() != c.stdout || stderr.String() != c.stderr || code != c.status {
			t.Errorf("%s: got status %d,\n%s\n%s\nwant %d,\n%s\n%s", c.ids, code, &stdout, &stderr, c.status, c.stdout, c.stderr)
		}
	}
}

// A sender that has lost its daemon hears of the second message from the next one,
// and goes on with that: also where it stops to wait.
func TestSendGoesOnWithTheMessageThatWasSentAgain(t *testing.T) {
	ctx, expire := expiring(t)
	s, g := newStub(t, map[string]ipc.Handler{})
	s.handle[ipc.MethodWait] = func(ctx context.Context, c *ipc.Call) (any, error) {
		c.NotifyWait(ipc.NotifyState, instead("running"))
		return s.after("m2", stuck(expire))(ctx, c)
	}
	s.handle[ipc.MethodSend] = taken("m1", "running", s.after("m1", s.lost))
	s.kill()
	s.start()
	var said strings.Builder
	g.stderr = func() io.Writer { return &said }
	_, err := sendTo(ctx, sendOptions{globals: g, timeout: seconds(time.Hour)})
	report(&said, err)
	want := sentAgain + "iris: no answer within 1h; message m2 goes on\niris: hint: \"iris wait m2\" waits for it, \"iris cancel m2\" interrupts it\n"
	if said.String() != want || status(err) != exitTimeout {
		t.Errorf("got %d\n%swant\n%s", status(err), &said, want)
	}
}

// Its output too, from its beginning and once.
func TestStreamGoesOnWithTheMessageThatWasSentAgain(t *testing.T) {
	if got, want := streamed(t, false), []string{"m1 0"}; !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
	if got, want := streamed(t, true), []string{"m1 0", "m2 0", "m2 30"}; !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// streamed waits for m1, whose daemon is lost twice if it is lossy, and returns
// which output was asked for.
func streamed(t *testing.T, lossy bool) (asked []string) {
	t.Helper()
	line := func(c *ipc.Call, id string, seq int64) {
		c.NotifyWait(ipc.NotifyOutput, ipc.Output{ID: id, Seq: seq, Line: fmt.Appendf(nil, `{"type":"assistant","of":"%s-%d"}`, id, seq)})
	}
	s, g := newStub(t, map[string]ipc.Handler{
		ipc.MethodResult: func(_ context.Context, c *ipc.Call) (any, error) {
			var p ipc.Which
			if err := c.Bind(&p); err != nil || p.ID != "m2" {
				return nil, wireError(ipc.CodeUnknown, "unknown", p.ID)
			}
			return succeeded("m2", "two"), nil
		},
	})
	s.handle[ipc.MethodStream] = func(ctx context.Context, c *ipc.Call) (any, error) {
		var p ipc.Stream
		if err := c.Bind(&p); err != nil {
			return nil, err
		}
		asked = append(asked, fmt.Sprintf("%s %d", p.ID, p.After))
		switch {
		case p.ID == "m1":
			line(c, "m1", 70)
			c.NotifyWait(ipc.NotifyState, instead("running"))
			if lossy {
				return s.after("m2", s.lost)(ctx, c)
			}
			line(c, "m2", 30)
		case p.After == 0:
			line(c, "m2", 30)
			return s.after("m2-30", s.lost)(ctx, c)
		}
		line(c, "m2", 60)
		return ipc.StreamEnd{Seq: 60}, nil
	}
	s.kill()
	s.start()
	var stdout, stderr strings.Builder
	g.stderr = func() io.Writer { return &stderr }
	opts := waitOptions{globals: g, outputOptions: outputOptions{format: "stream-json"}}
	err := runWait(t.Context(), opts, []string{"m1"}, nil, &stdout, &stderr)
	if err != nil || strings.Count(stdout.String(), "\n") != 3 || stderr.String() != sentAgain {
		t.Errorf("got %v\n%s\n%s", err, &stdout, &stderr)
	}
	return asked
}
