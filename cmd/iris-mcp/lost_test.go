package main

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/ipc"
)

// Without a daemon a command of iris starts one, and says why it does not.
func TestDaemonThatDoesNotStart(t *testing.T) {
	d, s := newDaemon(t, nil)
	d.kill()
	for _, c := range []struct{ program, want string }{
		{"", "no daemon is running, and iris, which starts one, is not in PATH"},
		{"#!/bin/sh\necho 'iris: umask = 3: must be a string' >&2; exit 2\n", "no daemon is running: umask = 3: must be a string"},
	} {
		if c.program != "" {
			dir := t.TempDir()
			if err := os.WriteFile(dir+"/iris", []byte(c.program), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir)
		}
		_, failed := s.use(t, "list_messages", map[string]any{})
		if !strings.Contains(failed, c.want) || !strings.Contains(failed, `"iris doctor"`) {
			t.Errorf("got %s, want %s", failed, c.want)
		}
		_, unsent := s.use(t, "send_message", map[string]any{"to": "api", "message": "x"})
		if unsent != failed { // of a message that nobody has got there is nothing to find
			t.Errorf("got %s", unsent)
		}
	}
}

// If no daemon comes back, the id is what the wait ends with.
func TestDaemonIsLostForGood(t *testing.T) {
	sent := make(chan bool)
	d, s := newDaemon(t, map[string]ipc.Handler{ipc.MethodSend: func(ctx context.Context, c *ipc.Call) (any, error) {
		c.NotifyWait(ipc.NotifyState, ipc.MessageState{ID: "m1", State: "running"})
		close(sent)
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	var wg sync.WaitGroup
	wg.Go(func() {
		<-sent
		time.Sleep(50 * time.Millisecond)
		d.kill()
	})
	out, failed := s.use(t, "send_message", map[string]any{"to": "api", "message": "x", "wait": "500ms"})
	wg.Wait()
	has(t, out, failed, `{"id":"m1","note":"wait_message with this id gets the answer","state":"running"}`)
}
