package delivery

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"iris/ipc"
)

// patience is how long a call may take, even on a busy machine.
const patience = time.Minute

// A client makes calls as a client of the daemon does, and keeps what it is told.
type client struct {
	t       *testing.T
	ctx     context.Context // of the client; nil for that of t
	states  []ipc.MessageState
	outputs []ipc.Output
	gaps    []ipc.OutputGap

	onState func(ipc.MessageState) // may be nil
}

// call makes one call, which handler answers.
func (c *client) call(handler ipc.Handler, params, answer any) error {
	c.t.Helper()
	dir, err := os.MkdirTemp("", "iris") // short: the socket's path is limited
	if err != nil {
		c.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ln, err := ipc.Listen(filepath.Join(dir, "s"))
	if err != nil {
		c.t.Fatal(err)
	}
	server := ipc.NewServer(ipc.Options{})
	server.Handle("call", handler)
	ctx, stop := context.WithTimeout(c.t.Context(), patience)
	var wg sync.WaitGroup
	wg.Go(func() { server.Serve(ctx, ln) })
	defer wg.Wait()
	defer stop()
	conn, err := ipc.Dial(ctx, filepath.Join(dir, "s"), ipc.Hello{})
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	conn.OnNotify = c.note
	return conn.Call(cmp.Or(c.ctx, ctx), "call", params, answer)
}

// with runs f in a call.
func (c *client) with(f func(context.Context, *ipc.Call)) {
	c.t.Helper()
	err := c.call(func(ctx context.Context, call *ipc.Call) (any, error) {
		f(ctx, call)
		return nil, nil
	}, nil, nil)
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) note(method string, params json.RawMessage) {
	var err error
	switch method {
	case ipc.NotifyState:
		var st ipc.MessageState
		err = json.Unmarshal(params, &st)
		c.states = append(c.states, st)
		if c.onState != nil {
			c.onState(st)
		}
	case ipc.NotifyOutput:
		var o ipc.Output
		err = json.Unmarshal(params, &o)
		c.outputs = append(c.outputs, o)
	case ipc.NotifyGap:
		var g ipc.OutputGap
		err = json.Unmarshal(params, &g)
		c.gaps = append(c.gaps, g)
	}
	if err != nil {
		c.t.Error(err)
	}
}

// code returns the code of an answer that is an error; 0 of another one.
func code(err error) int {
	if e, ok := errors.AsType[*ipc.Error](err); ok {
		return e.Code
	}
	return 0
}
