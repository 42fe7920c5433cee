package ipc_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"

	"iris/ipc"
)

// A client sends a message and hears how far it is before the answer comes. The
// server here stands for the daemon.
func Example() {
	dir, err := os.MkdirTemp("", "ipc")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "iris.sock")
	stop := serve(socket)
	defer stop()

	ctx := context.Background()
	c, err := ipc.Dial(ctx, socket, ipc.Hello{Version: "1.2.0"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	heard := ipc.Handlers{State: func(s ipc.MessageState) { fmt.Println("message", s.ID, "is", s.State) }}
	c.OnNotify = heard.Notify
	reply, err := c.Send(ctx, ipc.Send{Team: "api", Text: "fix it"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.Outcome+":", reply.Text)

	_, err = c.Send(ctx, ipc.Send{Team: "nope"})
	fmt.Println(err)
	// Output:
	// message m7 is running
	// success: done: fix it
	// no team "nope"
}

// serve answers message.send at a socket until stop is called.
func serve(socket string) (stop func()) {
	s := ipc.NewServer(ipc.Options{Version: "1.2.0"})
	s.Handle(ipc.MethodSend, func(_ context.Context, c *ipc.Call) (any, error) {
		var p ipc.Send
		if err := c.Bind(&p); err != nil {
			return nil, err
		}
		if p.Team != "api" {
			return nil, ipc.Errorf(ipc.CodeNotFound, "no team %q", p.Team)
		}
		if err := c.NotifyWait(ipc.NotifyState, ipc.MessageState{ID: "m7", State: "running"}); err != nil {
			return nil, err
		}
		return ipc.Reply{ID: "m7", Team: p.Team, Outcome: "success", Text: "done: " + p.Text}, nil
	})
	ln, err := ipc.Listen(socket)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx, ln); err != nil {
			log.Print(err)
		}
	})
	return func() { cancel(); wg.Wait() }
}
