package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"iris/config"
	"iris/config/sys"
	"iris/ipc"
)

const (
	patience  = 60 * time.Second // how long the daemon may be silent in a call that waits for no turn
	startedBy = 30 * time.Second // how long a daemon that was lost may take to be there again
	pause     = 100 * time.Millisecond
)

// client makes connections to the daemon. Any goroutine may use it.
type client struct {
	paths config.Paths
}

// dial connects to the daemon, and first has iris start one if there is none.
func (c *client) dial(ctx context.Context) (*ipc.Client, error) {
	conn, err := c.connect(ctx)
	if !errors.Is(err, ipc.ErrNoDaemon) {
		return conn, err
	}
	if err := start(ctx); err != nil {
		return nil, err
	}
	return c.connect(ctx)
}

func (c *client) connect(ctx context.Context) (*ipc.Client, error) {
	socket, err := c.paths.FindSocket()
	if err != nil {
		return nil, err
	}
	return ipc.Dial(ctx, socket, ipc.Hello{Version: version(), Config: c.paths.Chosen()})
}

// start runs a command of iris that starts the daemon: its environment says which one.
func start(ctx context.Context) error {
	path, err := iris()
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "status")
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		said, _, _ := strings.Cut(strings.TrimPrefix(stderr.String(), "iris: "), "\n")
		return fmt.Errorf("%w: %s%w", ipc.ErrNoDaemon, said, sys.Silent(err))
	}
	return nil
}

// iris returns the path of iris: beside this program, or in PATH.
func iris() (string, error) {
	if self, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(self), "iris")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath("iris")
	if err != nil {
		err = fmt.Errorf("%w, and iris, which starts one, is not in PATH%w", ipc.ErrNoDaemon, sys.Silent(err))
	}
	return path, err
}

// call makes one call that waits for no turn. Use it as ipc.Verbs.
func (c *client) call(ctx context.Context, method string, params, result any) error {
	again := ipc.Idempotent(method)
	for {
		conn, err := c.dial(ctx)
		if err != nil {
			return err
		}
		conn.Patience = patience
		err = conn.Call(ctx, method, params, result)
		conn.Close()
		if !again || !errors.Is(err, ipc.ErrLost) {
			return err
		}
		again = false
	}
}

func (c *client) verbs() ipc.Verbs { return c.call }

// follow lets talk make a call that may be repeated, on a connection, and again on another
// one if the daemon was lost.
func (c *client) follow(ctx context.Context, talk func(*ipc.Client) error) error {
	conn, err := c.dial(ctx)
	for err == nil {
		err = talk(conn)
		conn.Close()
		if !ipc.CutOff(err) || ctx.Err() != nil {
			return err
		}
		conn, err = c.redial(ctx)
	}
	return err
}

// redial is dial that tries again while a daemon ends or starts. The end of ctx is an error of
// its own: it may have cut a start short.
func (c *client) redial(ctx context.Context) (*ipc.Client, error) {
	for begun := time.Now(); ; {
		sys.Sleep(ctx, pause)
		conn, err := c.dial(ctx)
		switch {
		case err == nil, time.Since(begun) > startedBy:
			return conn, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
	}
}
