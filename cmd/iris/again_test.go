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

const sentAgain = "iris: nobody knows how the first attempt of message m1 ended; there is another one\n"

// A wait says once that the message has another attempt, and prints its answer.
func TestWaitSaysThatTheMessageHasAnotherAttempt(t *testing.T) {
	again := ipc.MessageState{ID: "m1", State: "running", Retried: true}
	handle := inOrder(nil, map[string]any{"m1": succeeded("m1", "two")}, nil)
	handle[ipc.MethodWait] = func(_ context.Context, c *ipc.Call) (any, error) {
		c.NotifyWait(ipc.NotifyState, again)
		c.NotifyWait(ipc.NotifyState, again)
		return ipc.MessageState{ID: "m1", State: "done"}, nil
	}
	_, g := newStub(t, handle)
	var stdout, stderr strings.Builder
	g.stderr = func() io.Writer { return &stderr }
	err := runWait(t.Context(), &waitOptions{globals: g}, []string{"m1"}, streams{nil, &stdout, &stderr})
	if err != nil || stdout.String() != "two\n" || stderr.String() != sentAgain {
		t.Errorf("got %v\n%s\n%s", err, &stdout, &stderr)
	}
}

// The text of the first attempt is not taken for a part of the answer.
func TestStreamOfAnotherAttemptBeginsAnew(t *testing.T) {
	line := func(c *ipc.Call, seq int64, text string) {
		c.NotifyWait(ipc.NotifyOutput, ipc.Output{ID: "m1", Seq: seq, Line: fmt.Appendf(nil, `{"type":"assistant","message":{"content":[{"type":"text","text":%q}]}}`, text)})
	}
	_, g := newStub(t, map[string]ipc.Handler{
		ipc.MethodStream: func(_ context.Context, c *ipc.Call) (any, error) {
			line(c, 70, "one")
			c.NotifyWait(ipc.NotifyState, ipc.MessageState{ID: "m1", State: "running", Retried: true})
			line(c, 1<<ipc.SeqBits+50, "two")
			return ipc.StreamEnd{Seq: 1<<ipc.SeqBits + 50}, nil
		},
		ipc.MethodResult: func(context.Context, *ipc.Call) (any, error) { return succeeded("m1", "two"), nil },
	})
	var stdout, stderr strings.Builder
	g.stderr = func() io.Writer { return &stderr }
	opts := waitOptions{globals: g, outputOptions: outputOptions{stream: true, chosen: true}}
	err := runWait(t.Context(), &opts, []string{"m1"}, streams{nil, &stdout, &stderr})
	if err != nil || stdout.String() != "one\n\ntwo\n" || stderr.String() != sentAgain {
		t.Errorf("got %v\n%q\n%s", err, stdout.String(), &stderr)
	}
}

// A retry whose daemon is lost before it has answered knows its own request again.
func TestRetryThatIsCutShortKnowsWhetherItWasAccepted(t *testing.T) {
	for _, accepted := range []bool{true, false} {
		ctx, expire := expiring(t)
		var p ipc.Retry
		handle := map[string]ipc.Handler{
			ipc.MethodRetry: func(ctx context.Context, c *ipc.Call) (any, error) {
				if err := c.Bind(&p); err != nil {
					return nil, err
				}
				expire()
				<-ctx.Done()
				return nil, ctx.Err()
			},
			ipc.MethodShow: func(_ context.Context, c *ipc.Call) (any, error) {
				var ref ipc.MessageRef
				if err := c.Bind(&ref); err != nil || ref.ID != "m1" {
					return nil, wireError(ipc.CodeNotFound, "no-such-message", ref.ID)
				}
				m := ipc.Message{ID: "m1", State: "running", History: []ipc.Change{{State: "unknown"}, {State: "queued", Request: "another"}}}
				if accepted {
					m.History[1].Request = p.NewID
				}
				return m, nil
			},
		}
		_, g := newStub(t, handle)
		err := runRetry(ctx, &retryOptions{globals: g, timeout: seconds(time.Hour)}, []string{"m1"}, streams{nil, io.Discard, io.Discard})
		if want := map[bool]string{true: "message m1 goes on", false: "did not accept"}[accepted]; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("accepted %t: got %v, want %q", accepted, err, want)
		}
	}
}

func TestShowListsTheAttempts(t *testing.T) {
	m := ipc.Message{ID: "m1", State: "done", History: []ipc.Change{
		{State: "queued"}, {State: "running", Process: "p-1"}, {State: "unknown"}, {State: "queued", By: "on_unknown"}, {State: "running", Process: "p-2"}, {State: "done"},
	}}
	var steps []string
	for i := range m.History {
		steps = append(steps, strings.TrimSpace(changeText(&m.History[i])))
	}
	want := []string{"queued", "running in p-1", "unknown", "queued, by on_unknown", "running in p-2", "done"}
	if !slices.Equal(steps, want) {
		t.Errorf("got %q", steps)
	}
}
