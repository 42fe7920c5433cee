package ipc

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlowReaderIsDroppedAndOthersAreNotHeldUp(t *testing.T) {
	var notifyErr error
	var refused []error
	s := NewServer(Options{Refused: func(_ Peer, err error) { refused = append(refused, err) }})
	s.Handle("flood", func(_ context.Context, c *Call) (any, error) {
		for notifyErr == nil {
			notifyErr = c.Notify("tick", echoParams{Text: strings.Repeat("x", 1000)})
		}
		return nil, nil
	})
	s.Handle("status", func(context.Context, *Call) (any, error) { return nil, nil })
	bubble(t, s, func(t *testing.T, ln *pipeListener, _ func()) {
		slow := ln.dial() // never reads
		defer slow.Close()
		k := newTalker(ln.dial())
		defer k.close()
		begun := time.Now()
		slow.Write([]byte(`{"jsonrpc":"2.0","id":1,"method":"flood"}` + "\n"))
		k.write(statusLine)
		if got := digest(t, k.heard()); got != "1: ok" {
			t.Errorf("the other client: got %q", got)
		}
		if !errors.Is(notifyErr, ErrSlow) || time.Since(begun) > 0 {
			t.Errorf("Notify: got %v after %v, want ErrSlow at once", notifyErr, time.Since(begun))
		}
		if s.Clients() != 1 {
			t.Errorf("clients: got %d, want only the one that reads", s.Clients())
		}
	})
	if len(refused) != 1 || !errors.Is(refused[0], ErrSlow) {
		t.Errorf("refused: got %v", refused)
	}
}

func TestUnreadAnswerIsDroppedAfterTheWriteTimeout(t *testing.T) {
	s := testServer(Options{})
	bubble(t, s, func(t *testing.T, ln *pipeListener, _ func()) {
		nc := ln.dial()
		defer nc.Close()
		nc.Write([]byte(statusLine))
		time.Sleep(WriteTimeout - time.Millisecond)
		if synctest.Wait(); s.Clients() != 1 {
			t.Error("dropped too early")
		}
		time.Sleep(2 * time.Millisecond)
		if synctest.Wait(); s.Clients() != 0 {
			t.Error("still there after the write timeout")
		}
	})
}

func TestSlowButSteadyReaderGetsALargeAnswer(t *testing.T) {
	s := NewServer(Options{MaxQueueBytes: 100, MaxQueueFrames: 10})
	large := strings.Repeat("x", 1<<20)
	s.Handle("large", func(_ context.Context, c *Call) (any, error) { return large, nil })
	s.Handle("tick", func(_ context.Context, c *Call) (any, error) { return nil, c.Notify("tick", nil) })
	bubble(t, s, func(t *testing.T, ln *pipeListener, _ func()) {
		nc := ln.dial()
		defer nc.Close()
		nc.Write([]byte(`{"jsonrpc":"2.0","id":1,"method":"large"}` + "\n"))
		nc.Write([]byte(`{"jsonrpc":"2.0","id":2,"method":"large"}` + "\n"))
		synctest.Wait() // one is being written, one waits
		nc.Write([]byte(`{"jsonrpc":"2.0","id":3,"method":"tick"}` + "\n"))
		total, feeds := 0, 0
		buf := make([]byte, 64<<10)
		for feeds < 4 { // ten minutes for the two of them
			time.Sleep(20 * time.Second)
			n, err := nc.Read(buf)
			if err != nil {
				t.Fatalf("after %d bytes: %v", total, err)
			}
			total += n
			feeds += strings.Count(string(buf[:n]), "\n")
		}
		if total < 2*len(large) {
			t.Errorf("got %d bytes", total)
		}
	})
}

func TestNotifyWaitHoldsUpItsCallerOnly(t *testing.T) {
	var sent atomic.Int32
	s := NewServer(Options{MaxQueueFrames: 3})
	s.Handle("watch", func(_ context.Context, c *Call) (any, error) {
		for c.NotifyWait("tick", nil) == nil {
			sent.Add(1)
		}
		return nil, nil
	})
	bubble(t, s, func(t *testing.T, ln *pipeListener, _ func()) {
		nc := ln.dial()
		defer nc.Close()
		nc.Write([]byte(`{"jsonrpc":"2.0","id":1,"method":"watch"}` + "\n"))
		buf := make([]byte, 4096)
		synctest.Wait()
		if got := sent.Load(); got > 10 {
			t.Errorf("%d notifications sent to a client that does not read", got)
		}
		for ticks := 0; ticks < 100; {
			n, err := nc.Read(buf)
			if err != nil {
				t.Fatalf("after %d notifications: %v", ticks, err)
			}
			ticks += strings.Count(string(buf[:n]), "\n")
		}
		time.Sleep(WriteTimeout + time.Second)
		if synctest.Wait(); s.Clients() != 0 {
			t.Error("a client that reads nothing for the whole timeout is still there")
		}
	})
}

func TestNotifyOutlivesNothing(t *testing.T) {
	calls := make(chan *Call, 1)
	s := NewServer(Options{})
	s.Handle("lend", func(_ context.Context, c *Call) (any, error) { calls <- c; return nil, nil })
	bubble(t, s, func(t *testing.T, ln *pipeListener, _ func()) {
		k := newTalker(ln.dial())
		k.write(`{"jsonrpc":"2.0","id":1,"method":"lend"}` + "\n")
		k.heard()
		c := <-calls
		if err := c.Notify("tick", nil); err != nil {
			t.Errorf("after the handler has returned: %v", err)
		}
		if got := k.heard(); len(got) != 1 || got[0] != `{"jsonrpc":"2.0","method":"tick"}` {
			t.Errorf("got %q", got)
		}
		k.close()
		if synctest.Wait(); c.Notify("tick", nil) == nil {
			t.Error("no error after the connection is gone")
		}
	})
}

func TestAnswersComeInTheirOrderAfterTheirNotifications(t *testing.T) {
	bubble(t, testServer(Options{}), func(t *testing.T, ln *pipeListener, _ func()) {
		k := newTalker(ln.dial())
		defer k.close()
		k.write(`{"jsonrpc":"2.0","id":1,"method":"count","params":{"n":100}}` + "\n")
		got := k.heard()
		if len(got) != 101 || !strings.Contains(got[99], `"n":99`) || digest(t, got[100:]) != "1: ok" {
			t.Errorf("got %d lines: %q", len(got), got)
		}
	})
}

func TestNotifyDoesNotKeepAnEndingConnectionOpen(t *testing.T) {
	calls := make(chan *Call, 1)
	s := NewServer(Options{})
	s.Handle("lend", func(_ context.Context, c *Call) (any, error) { calls <- c; return nil, nil })
	bubble(t, s, func(t *testing.T, ln *pipeListener, end func()) {
		nc := ln.dial() // never reads
		defer nc.Close()
		nc.Write([]byte(`{"jsonrpc":"2.0","method":"lend"}` + "\n"))
		c := <-calls
		if err := c.Notify("tick", nil); err != nil {
			t.Errorf("before: %v", err)
		}
		var wg sync.WaitGroup
		wg.Go(end)
		time.Sleep(shutdownWrite / 2)
		if err := c.Notify("tick", nil); err == nil {
			t.Error("while it ends: no error")
		}
		wg.Wait()
	})
}
