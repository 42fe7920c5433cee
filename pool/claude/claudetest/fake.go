package claudetest

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"iris/pool/echo"
)

const (
	fakeName  = "fakeclaude"
	childName = "fakeclaude-child"
)

// Version is the version that the fake reports, OldVersion the one with --fake-old.
const (
	Version    = "2.1.332"
	OldVersion = "2.1.197"
)

// Main becomes the fake agent, and does not return, when the running program
// was started by the name that Install gave it. Call it first in TestMain.
func Main() {
	var status int
	switch filepath.Base(os.Args[0]) {
	case fakeName:
		runtime.LockOSThread() // children may be tied to this thread's life
		status = runFake(os.Args[1:])
	case childName:
		status = runChild(os.Args[1:])
	default:
		return
	}
	syscall.Exit(status) // without the second that the race detector waits
}

// Install makes the fake agent in dir, which must exist, and returns its path: a link
// to the running program. It panics if that fails.
func Install(dir string) string {
	self, err := os.Executable()
	if err != nil {
		panic(fmt.Sprintf("claudetest: %v", err))
	}
	path := filepath.Join(dir, fakeName)
	if err := os.Symlink(self, path); err != nil && !os.IsExist(err) {
		panic(fmt.Sprintf("claudetest: %v", err))
	}
	return path
}

// fake is one run of the fake agent.
type fake struct {
	flags   flags
	server  *echo.Server
	ledger  *ledger
	session *transcript
	fds     map[string]string // open at the start
	output  output
	over    chan struct{} // closed when the input is over

	mu        sync.Mutex // protects the fields below
	deaf      map[string]bool
	status    int       // exit status when not the server's own, -1 for that
	hoard     []byte    // memory held by memory:N
	limitTold time.Time // reset of the limit that the last rate_limit_event tells
	own       map[string]ownTurn
	reloaded  int          // requests to read commands, agents and skills again
	tools     map[int]bool // process groups of tools that run
	asked     map[string]chan verdict
	granted   map[string]bool // tools that are not asked for any more
}

// runFake runs the fake from start to end; it returns the exit status.
func runFake(args []string) int {
	if status, ok := answerQuery(args); ok {
		return status
	}
	setVerbs()
	fds := openFiles()
	signal.Ignore(syscall.SIGPIPE)
	flags, err := parseFlags(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		return 1
	}
	f := &fake{
		flags: flags, fds: fds, over: make(chan struct{}), deaf: map[string]bool{}, status: -1, asked: map[string]chan verdict{}, granted: map[string]bool{},
		own: map[string]ownTurn{}, tools: map[int]bool{},
	}
	for _, d := range flags.deaf {
		f.deaf[d] = true
	}
	f.server = &echo.Server{
		Options: echo.ParseOptions(args),
		States:  os.Getenv("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS") == "1",
		Old:     flags.old,
		Model:   "claude-fake", Version: flags.version(),
		Stdin: f, Stdout: &f.output, Stderr: os.Stderr,
		Begin: f.begin, Answer: f.answer, Accept: f.accept, Control: f.control, Response: f.answered,
	}
	f.server.Refused = flags.refused
	if !flags.noReload {
		f.server.Reload = f.reload
	}
	f.watchSignals()
	f.ledger = openLedger(flags.ledger, flags.max, f.server.Options.SessionID)
	f.ledger.write("S", echo.NewUUID(), "")
	flags.slowStart.over(nil, nil)
	if status, stop := f.refuse(); stop {
		return f.leave(status)
	}
	if flags.phantom {
		f.server.Enqueue(echo.Message{Text: "phantom", Origin: "task-notification"})
	}
	return f.leave(f.server.Run(context.Background()))
}

// refuse handles a start that must fail.
func (f *fake) refuse() (status int, stop bool) {
	if _, err := os.Stat(f.flags.broken); f.flags.broken != "" && err == nil {
		fmt.Fprintln(os.Stderr, "fakeclaude: broken on request")
		return 1, true
	}
	session, err := openTranscript(f.server.Options)
	f.session = session
	if err == nil {
		if !f.flags.old {
			f.server.Restore(session.sum)
		}
		return 0, false
	}
	fmt.Fprintln(os.Stderr, err)
	if f.server.Options.Resume {
		f.server.Result(nil, echo.Failure(err.Error()))
	}
	return 1, true
}

// leave runs last before the exit.
func (f *fake) leave(status int) int {
	for f.isDeaf("eof") {
		time.Sleep(time.Hour)
	}
	f.mu.Lock()
	if f.status >= 0 {
		status = f.status
	}
	f.mu.Unlock()
	f.session.flush()
	f.ledger.write("X", echo.NewUUID(), fmt.Sprint(status))
	return status
}

// watchSignals makes the fake end as the real program does: 143 and 129 at
// once, and on SIGINT after the lines of the interrupted turn.
func (f *fake) watchSignals() {
	ch := make(chan os.Signal, 8)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	var wg sync.WaitGroup
	wg.Go(func() {
		for s := range ch {
			n := s.(syscall.Signal)
			switch {
			case f.isDeaf("term"):
			case n == syscall.SIGINT:
				f.mu.Lock()
				f.status = 0
				f.mu.Unlock()
				f.server.End()
			default:
				f.killTools()
				f.session.flush()
				f.ledger.write("X", echo.NewUUID(), fmt.Sprint(128+int(n)))
				syscall.Exit(128 + int(n))
			}
		}
	})
}

// accept sees a message before its first line.
func (f *fake) accept(m echo.Message) bool {
	if how, ok := crashAt(m.Text, "read"); ok {
		f.crash(how)
	}
	if f.flags.mute {
		return false
	}
	if f.session.seen(m.UUID) {
		f.server.Again()
		return false
	}
	return true
}

// control reports whether a control request is handled.
func (f *fake) control(subtype string) bool {
	switch subtype {
	case "initialize":
		return !f.flags.mute
	case "end_session":
		return !f.isDeaf("end")
	case "interrupt":
		return !f.isDeaf("interrupt")
	}
	return !f.isDeaf("ping")
}

func (f *fake) reload() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reloaded++
}

// reloads is how often the fake was asked to read commands, agents and skills again.
func (f *fake) reloads(string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strconv.Itoa(f.reloaded)
}

// signalled reports whether SIGINT ends the process.
func (f *fake) signalled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status == 0
}

func (f *fake) isDeaf(to string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.deaf[to]
}

func (f *fake) setDeaf(to ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range to {
		f.deaf[d] = true
	}
}

// Read is the fake's standard input. It never returns once the fake is deaf to
// it, so that the pipe fills up. End of file makes a process that is deaf to it
// wait in leave.
func (f *fake) Read(p []byte) (int, error) {
	for f.isDeaf("stdin") {
		time.Sleep(time.Hour)
	}
	n, err := os.Stdin.Read(p)
	if err != nil {
		close(f.over)
	}
	for f.isDeaf("stdin") {
		time.Sleep(time.Hour)
	}
	return n, err
}
