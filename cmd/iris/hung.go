package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"iris/config"
	"iris/config/sys"
	"iris/ipc"
)

// noteSilence has the user told once when the daemon of a connection hangs: it does not
// answer the hello, or nothing comes from it and it does not answer another client either.
func (g *globals) noteSilence(ctx context.Context, c *ipc.Client) {
	told := false
	c.OnSilence = func(greeted bool) {
		if told || greeted && g.alive(ctx, c.Daemon().PID) {
			return
		}
		told = true
		e := hung(c.Daemon().PID)
		say(g.stderr(), "%s; still waiting", e.Message)
		say(g.stderr(), "hint: %s", e.Hint())
	}
}

// alive reports whether the daemon answers another client, or is another one by now.
func (g *globals) alive(ctx context.Context, pid int) bool {
	p, err := g.paths()
	if err != nil {
		return true
	}
	c, err := g.connect(ctx, p)
	if err != nil {
		return true // the old connection will say so
	}
	defer c.Close()
	if c.Daemon().PID != pid {
		return true
	}
	c.Patience = ipc.HungAfter
	_, err = c.Status(ctx)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// hung is the error for a daemon that does not answer.
func hung(pid int) *ipc.Error {
	e := ipc.Errorf(ipc.CodeDaemon, "the daemon, pid %d, does not answer", pid)
	e.Data = &ipc.Data{Reason: "hung", Hint: fmt.Sprintf("\"kill -9 %d\" ends it; its turns go on, and the next command starts another daemon", pid)}
	if stopped(pid) {
		e.Message = fmt.Sprintf("the daemon, pid %d, does not answer: it is stopped", pid)
		e.Data.Hint = fmt.Sprintf("\"kill -CONT %d\" lets it go on", pid)
	}
	return e
}

// stopped reports whether a signal has stopped a process, where the system shows that.
func stopped(pid int) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ") // the name before it may have anything in it
	return strings.HasPrefix(state, "T")
}

// holderLimit is how long a command waits for the socket of a daemon that has the lock. It
// is longer than the daemon takes to make its socket again.
const holderLimit = 3 * time.Second

// awaitHolder connects to a daemon that has the lock and whose socket is not there: it is
// starting, ending, or making its socket again. The error is ErrNoDaemon if nobody has the
// lock.
func (g *globals) awaitHolder(ctx context.Context, p config.Paths) (*ipc.Client, error) {
	if !locked(p.Lock) {
		return nil, ipc.ErrNoDaemon
	}
	now := time.Now()
	os.Chtimes(p.Lock, now, now) // has the daemon look for its socket
	for end := now.Add(holderLimit); locked(p.Lock); {
		c, err := g.connect(ctx, p)
		switch {
		case !errors.Is(err, ipc.ErrNoDaemon):
			return c, err
		case time.Now().After(end):
			return nil, unreachable(p)
		}
		sys.Sleep(ctx, 4*lockPoll)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return nil, ipc.ErrNoDaemon
}

// unreachable is the error for a daemon that has the lock and no socket on this side.
func unreachable(p config.Paths) error {
	socket, pid := config.ReadLock(p.Lock).Socket, lockHolder(p.Lock)
	e := ipc.Errorf(ipc.CodeDaemon, "a daemon elsewhere has the lock %s, and its socket %s is not here", p.Lock, socket)
	e.Data = &ipc.Data{Reason: "unreachable", Hint: fmt.Sprintf("it may run in a container or on another machine that has this directory: "+
		"stop it there, or set XDG_STATE_HOME here for another daemon; with IRIS_SOCKET=%s on both sides both reach the same daemon", p.Refuge)}
	switch {
	case socket != p.Socket && listens(socket):
		e.Message = fmt.Sprintf("the daemon of %s listens at %s, not at %s", p.State, socket, p.Socket)
		e.Data.Hint = "leave out --socket and IRIS_SOCKET, or give another daemon a state directory of its own by XDG_STATE_HOME"
	case pid != 0:
		e.Message = fmt.Sprintf("the daemon, pid %d, has no socket: it is starting, or cannot make one", pid)
		e.Data.Hint = fmt.Sprintf("its log %s says why; \"kill %d\" ends it", p.Log, pid)
	}
	return e
}

// listens reports whether somebody accepts connections at a socket.
func listens(socket string) bool {
	c, err := net.Dial("unix", socket)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// lockHolder returns the pid of the process that has the exclusive lock of a file; 0 if this
// system does not show it, as with a process outside of this container.
func lockHolder(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	locks, _ := os.ReadFile("/proc/locks")
	for line := range strings.Lines(string(locks)) {
		var kind, strict, mode string
		var n, pid int
		if _, err := fmt.Sscanf(line, "%d: %s %s %s %d", &n, &kind, &strict, &mode, &pid); err != nil || kind != "FLOCK" || mode != "WRITE" {
			continue
		}
		fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		for _, fd := range fds {
			if open, err := os.Stat(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name())); err == nil && os.SameFile(open, info) {
				return pid
			}
		}
	}
	return 0
}
