package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
)

func TestWhatArrivedBeforeAnInterruptIsHeard(t *testing.T) {
	s := testServer(Options{})
	said := make(chan struct{})
	s.Handle("tell", func(ctx context.Context, c *Call) (any, error) {
		must(t, c.NotifyWait("told", nil))
		close(said)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	c := dial(t, start(t, s))
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	heard := 0
	c.OnNotify = func(string, json.RawMessage) { heard++ }
	c.OnSent = func() {
		<-said
		time.Sleep(20 * time.Millisecond) // another writer may have it still
		cancel()
		time.Sleep(20 * time.Millisecond) // for what the end of the context calls
	}
	if err := c.Call(ctx, "tell", nil, nil); !errors.Is(err, context.Canceled) || heard != 1 {
		t.Errorf("got %v, heard %d notifications, want 1", err, heard)
	}
}

func TestPatienceEnds(t *testing.T) {
	c := dial(t, start(t, testServer(Options{})))
	c.Patience = 20 * time.Millisecond
	if err := c.Call(context.Background(), "wait", nil, nil); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, ErrLost) {
		t.Errorf("got %v", err)
	}
}
