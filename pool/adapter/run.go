package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"iris/pool/echo"
	"iris/pool/procs"
)

// The statuses of an adapter whose program does not become ready.
const (
	exitFailed = 1
	exitUsage  = 2
)

// startLimit is how long a program may take to be ready if no flag says it.
const startLimit = 60 * time.Second

var (
	errLoggedOut = errors.New("not logged in")
	errLeft      = errors.New("the program has ended")
)

// dialect is the protocol of a program.
type dialect interface {
	// open introduces iris to the program and opens the conversation with that id, or a
	// new one if it is empty; it returns the id. A program that is open opens only the
	// conversation. The error is errLoggedOut if the program has no login, and a
	// lostError if it does not have the conversation.
	open(ctx context.Context, id string) (string, error)

	// prompt gives the program a message and waits for the end of the turn, which it
	// reports, nil for a success.
	prompt(w *work, text string) (*echo.Result, error)

	cancel() // cancels the turn

	heard(w *work, method string, params []byte) // w is nil between two turns
	asked(w *work, id []byte, method string, params []byte)
}

// lostError says that a program does not have a conversation any more. Its text begins
// with the words by which package claude knows it.
type lostError struct{ why string }

func (e lostError) Error() string { return "No conversation found: " + e.why }

// adapter serves one conversation.
type adapter struct {
	server  *echo.Server
	program *program
	dialect dialect
	session *session
	id      string // of the open conversation, the program's own

	loggedOut bool // nothing is open yet: the program has no login; for the goroutine of a turn

	mu   sync.Mutex // protects the fields below
	work *work      // the running turn
	busy bool       // a message has been taken and is not over
	dead bool       // the program has ended
	deaf bool       // the input is over
	asks map[string]ask
	cost float64 // of the conversation, as last reported
}

// Run runs an adapter until its input ends, end_session comes or ctx is cancelled, and
// returns the exit status. args are flags of Claude Code, "--", and the command line of
// the program. The protocol is "acp" or "codex".
func Run(ctx context.Context, protocol string, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	at := slices.Index(args, "--")
	if at < 0 || at+1 == len(args) || slices.Contains(args[:at], "--help") {
		fmt.Fprintf(stderr, "usage: iris agent %s [FLAGS OF CLAUDE CODE] -- COMMAND [ARGUMENT...]\n", protocol)
		return exitUsage
	}
	runtime.LockOSThread() // the program is killed with the thread that has started it
	defer runtime.UnlockOSThread()
	a := &adapter{asks: map[string]ask{}}
	a.server = &echo.Server{
		Options: echo.ParseOptions(args[:at]), States: os.Getenv("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS") == "1",
		Stdin: &input{stdin, a.inputOver}, Stdout: stdout, Stderr: stderr,
		Accept: a.accept, Answer: a.answer, Response: a.response,
	}
	status, err := a.run(ctx, protocol, args[at+1:])
	if err != nil {
		fmt.Fprintf(stderr, "Error: %s\n", oneLine(err.Error()))
	}
	return status
}

// run starts the program and serves.
func (a *adapter) run(ctx context.Context, protocol string, argv []string) (status int, err error) {
	o := &a.server.Options
	state := os.Getenv(procs.EnvState)
	if slices.Contains(o.Args, "--no-session-persistence") {
		state = ""
	}
	if a.session, err = openSession(state, o.SessionID); err != nil {
		return exitFailed, err
	}
	if o.Resume && a.session.ID == "" {
		return exitFailed, lostError{"iris does not know its id any more, which is in " + a.session.path}
	}
	if protocol == "codex" {
		argv = append(slices.Clone(argv), "app-server")
	}
	if a.program, err = start(argv, protocol == "acp", a.server.Stderr); err != nil {
		return exitFailed, err
	}
	a.server.Model, a.server.Version = a.program.name, a.program.name
	defer a.program.stop()
	if protocol == "codex" {
		a.dialect = &codex{a: a}
	} else {
		a.dialect = &acp{a: a}
	}
	a.program.heard = func(method string, params json.RawMessage) { a.dialect.heard(a.running(), method, params) }
	a.program.asked = func(id json.RawMessage, method string, params json.RawMessage) {
		a.dialect.asked(a.running(), id, method, params)
	}
	a.program.attend()
	if err := a.ready(ctx); err != nil {
		return exitFailed, err
	}
	return a.serve(ctx)
}

// ready opens the conversation. Without a login there is none yet.
func (a *adapter) ready(ctx context.Context) error {
	limit := startLimit
	for _, arg := range a.server.Options.Args {
		if text, ok := strings.CutPrefix(arg, "--start-timeout="); ok {
			limit, _ = time.ParseDuration(text)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s is not ready after %v", a.program.name, limit))
	defer cancel()
	err := a.open(ctx)
	if printed := a.program.printed(); err != nil && printed != "" {
		err = fmt.Errorf("%w; it printed %q", err, printed)
	}
	if errors.Is(err, errLoggedOut) {
		a.loggedOut, err = true, nil
	}
	return err
}

// open opens the conversation that is on record, or a new one.
func (a *adapter) open(ctx context.Context) (err error) {
	a.id, err = a.dialect.open(ctx, a.session.ID)
	a.loggedOut = errors.Is(err, errLoggedOut)
	return err
}

// keep records which conversation is open, before its first message.
func (a *adapter) keep() error {
	if a.session.ID == a.id {
		return nil
	}
	a.session.ID, a.session.Cost = a.id, 0
	return a.session.save()
}

// serve answers messages until the input, the program or ctx ends.
func (a *adapter) serve(ctx context.Context) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-ctx.Done():
		case <-a.program.done:
			if a.died() {
				cancel(errLeft)
			}
		}
	})
	status := a.server.Run(ctx)
	left := context.Cause(ctx) == errLeft
	cancel(nil)
	wg.Wait()
	if left {
		return exitFailed, a.program.end(nil)
	}
	return status, nil
}

// died notes that the program has ended; true if no turn has to be ended first.
func (a *adapter) died() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dead = true
	return !a.busy
}

// accept takes a message. Without a program it is discarded, so that iris knows that its
// turn never began.
func (a *adapter) accept(m echo.Message) bool {
	a.mu.Lock()
	a.busy = a.busy || !a.dead
	dead := a.dead
	a.mu.Unlock()
	if dead {
		a.server.Discard(m)
	}
	return !dead
}

func (a *adapter) running() *work {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.work
}

// input calls over when there is no more to read.
type input struct {
	io.Reader
	over func()
}

func (i *input) Read(b []byte) (int, error) {
	n, err := i.Reader.Read(b)
	if err != nil {
		i.over()
	}
	return n, err
}

// oneLine joins the lines of a text.
func oneLine(text string) string { return clip(strings.Join(strings.Fields(text), " "), 500) }
