package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// hungAfter sets HungAfter for a test.
func hungAfter(t *testing.T, d time.Duration) {
	usual := HungAfter
	t.Cleanup(func() { HungAfter = usual })
	HungAfter = d
}

func TestDaemonThatDoesNotGreetIsGivenUp(t *testing.T) {
	hungAfter(t, 20*time.Millisecond)
	c := dial(t, fakeDaemon(t, func(nc *net.UnixConn) { io.Copy(io.Discard, nc) }))
	var calls []bool
	c.OnSilence = func(greeted bool) { calls = append(calls, greeted) }
	c.Patience, c.HelloPatience = time.Hour, time.Millisecond
	err := c.Call(context.Background(), "echo", nil, nil)
	if !errors.Is(err, os.ErrDeadlineExceeded) || len(calls) != 1 || calls[0] {
		t.Errorf("got %v after the calls %v", err, calls)
	}
}

// A client without patience waits for ever, and is asked again and again what to think of it.
func TestSilenceOfADaemonIsNoted(t *testing.T) {
	hungAfter(t, 20*time.Millisecond)
	answer := make(chan bool)
	c := dial(t, fakeDaemon(t, func(nc *net.UnixConn) {
		<-answer
		io.WriteString(nc, `{"jsonrpc":"2.0","id":0,"result":{}}`+"\n")
		<-answer
		io.WriteString(nc, `{"jsonrpc":"2.0","method":"news"}`+"\n")
		io.WriteString(nc, `{"jsonrpc":"2.0","id":1,"result":{}}`+"\n")
	}))
	var noted []bool
	c.OnNotify = func(string, json.RawMessage) {
		if limit := c.limit(); limit != HungAfter {
			t.Errorf("after news the next silence is noted in %v, want %v", limit, HungAfter)
		}
	}
	c.OnSilence = func(greeted bool) {
		if noted = append(noted, greeted); len(noted) == 1 || len(noted) == 3 {
			answer <- true
		}
	}
	if err := c.Call(context.Background(), "echo", nil, nil); err != nil {
		t.Fatal(err)
	}
	if len(noted) < 3 || noted[0] || !noted[1] || !noted[2] {
		t.Errorf("noted: %v", noted)
	}
}
