package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"iris/ipc"
)

// A prompter asks the person at the terminal about the tool calls that want
// permission while a command waits for their messages. The terminal stays in its
// usual mode: Ctrl-C ends the wait as ever, and the tool call waits on. A nil
// prompter asks nobody.
type prompter struct {
	globals *globals
	in      int // descriptor of the terminal
	out     io.Writer
	status  *statusLine // of the same terminal; nil for none

	wg           sync.WaitGroup // the goroutine that asks, while there is something to ask
	closing      sync.Once
	waker, woken *os.File // the ends of a pipe; a byte in it has the one that asks look again

	mu    sync.Mutex // protects the fields below
	queue []ipc.Approval
	busy  bool              // the goroutine is there
	over  bool              // nothing more is asked
	fates map[string]string // how those went that somebody else has decided
}

// newPrompter returns a prompter where somebody is there to be asked: standard
// input and error are both terminals.
func newPrompter(g *globals, stdin io.Reader, stderr io.Writer) *prompter {
	f, ok := stdin.(*os.File)
	if !ok || !isTerminal(f) || !isTerminal(stderr) {
		return nil
	}
	woken, waker, err := os.Pipe()
	if err != nil {
		return nil
	}
	return &prompter{globals: g, in: int(f.Fd()), out: stderr, waker: waker, woken: woken, fates: map[string]string{}}
}

// notify takes a notification of the daemon, and reports whether it was one about
// approvals. It does not block.
func (p *prompter) notify(method string, params json.RawMessage) bool {
	if method != ipc.NotifyAsked && method != ipc.NotifyDecided {
		return false
	}
	var a ipc.Approval
	if p == nil || json.Unmarshal(params, &a) != nil || a.ID == "" {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known := slices.ContainsFunc(p.queue, func(q ipc.Approval) bool { return q.ID == a.ID })
	switch {
	case method == ipc.NotifyDecided:
		if known {
			p.fates[a.ID] = fate(&a)
			p.wake()
		}
	case !known && !p.over: // after a restart of the daemon the same is told again
		p.queue = append(p.queue, a)
		if !p.busy {
			p.busy = true
			p.wg.Go(p.run)
		}
	}
	return true
}

// close ends the asking and waits for it. What is not decided waits on. A second
// call does nothing.
func (p *prompter) close() {
	if p == nil {
		return
	}
	p.closing.Do(p.end)
}

func (p *prompter) end() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.wake()
	p.wg.Wait()
	p.waker.Close()
	p.woken.Close()
}

func (p *prompter) wake() { p.waker.Write([]byte{0}) }

// run asks about one after the other.
func (p *prompter) run() {
	for a := p.next(); a != nil; a = p.next() {
		p.ask(a)
		p.mu.Lock()
		p.queue = p.queue[1:]
		delete(p.fates, a.ID)
		p.mu.Unlock()
	}
}

func (p *prompter) next() *ipc.Approval {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) > 0 && !p.over {
		a := p.queue[0]
		if p.fates[a.ID] == "" {
			return &a
		}
		p.queue = p.queue[1:]
		delete(p.fates, a.ID)
	}
	p.busy = false
	return nil
}

// ask asks about one and has the answer take effect.
func (p *prompter) ask(a *ipc.Approval) {
	defer p.status.hold()()
	if foreground(p.in) {
		flushInput(p.in) // what was typed before is no answer
		fmt.Fprintf(p.out, "%sallow? [y/N/why] ", approvalText(a, time.Now()))
	} else {
		say(p.out, "approval %s waits: %s of team %s; \"iris approvals %s\" shows it", a.ID, a.Tool, name(a.Team, a.Session), a.ID)
	}
	line, err := p.line(a.ID)
	if err != nil {
		fmt.Fprintln(p.out)
		p.unanswered(a, err)
		return
	}
	_, err = p.globals.decide(context.Background(), decision(a.ID, line))
	if err != nil {
		report(p.out, err)
	}
}

// decision is what an answer means. Only a plain yes allows.
func decision(id, line string) ipc.Decide {
	d := ipc.Decide{ID: id}
	switch line = strings.TrimSpace(line); strings.ToLower(line) {
	case "y", "yes":
		d.Allow = true
	case "", "n", "no":
	default:
		d.Reason = strings.ToValidUTF8(line, "\uFFFD")
	}
	return d
}

// Why a question gets no answer, besides the end of the input.
var (
	errElsewhere = errors.New("decided elsewhere")
	errEnded     = errors.New("the wait has ended")
)

// unanswered says what becomes of it.
func (p *prompter) unanswered(a *ipc.Approval, err error) {
	p.mu.Lock()
	why := p.fates[a.ID]
	p.over = p.over || !errors.Is(err, errElsewhere)
	p.mu.Unlock()
	switch {
	case errors.Is(err, errElsewhere):
		if foreground(p.in) {
			flushInput(p.in) // half an answer is no command for the shell
		}
		say(p.out, "approval %s %s", a.ID, why)
	case !errors.Is(err, errEnded):
		say(p.out, "approval %s waits on; \"iris approve %s\" allows it", a.ID, a.ID)
	}
}

// fate says how one went that was not decided here.
func fate(a *ipc.Approval) string {
	if a.Decision == "expired" {
		return "was denied at its deadline"
	}
	return "was " + a.Decision + " by " + a.By
}

// line reads a line from the terminal, until somebody else has decided or the wait
// ends. In the background it does not read: the line is the foreground's.
func (p *prompter) line(id string) (string, error) {
	var line []byte
	for {
		if err := p.still(id); err != nil {
			return "", err
		}
		fds := []unix.PollFd{{Fd: int32(p.woken.Fd()), Events: unix.POLLIN}, {Fd: int32(p.in), Events: unix.POLLIN}}
		wait := -1
		if !foreground(p.in) {
			fds, wait = fds[:1], 200
		}
		if _, err := unix.Poll(fds, wait); err != nil && !errors.Is(err, unix.EINTR) {
			return "", err
		}
		if fds[0].Revents != 0 {
			p.woken.Read(make([]byte, 16))
			continue
		}
		if len(fds) < 2 || fds[1].Revents == 0 || !foreground(p.in) {
			continue
		}
		buf := make([]byte, 4096)
		n, err := unix.Read(p.in, buf)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return "", err
		case n == 0:
			return "", io.EOF
		}
		if line = append(line, buf[:n]...); line[len(line)-1] == '\n' {
			return string(line), nil
		}
	}
}

// still returns why a question need not be answered any more.
func (p *prompter) still(id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.fates[id] != "": // the wait often ends with it
		return errElsewhere
	case p.over:
		return errEnded
	}
	return nil
}

// foreground reports whether the terminal is ours to read from: a command that
// the shell has put into the background would be stopped.
func foreground(fd int) bool {
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
