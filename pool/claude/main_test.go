package claude

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"iris/config/sys/systest"
	"iris/pool/claude/claudetest"
	"iris/pool/procs"
	"iris/pool/turn"
)

// roles are what the test binary plays when a test has started it as another
// process.
var roles = map[string]func(){
	"daemon": playDaemon,
}

const roleVar = "IRIS_TEST_ROLE"

func TestMain(m *testing.M) {
	claudetest.Main()
	if play := roles[os.Getenv(roleVar)]; play != nil {
		play()
		return
	}
	systest.Begin()
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for events that come by themselves, however busy
// the machine is. slow is longer than that: a test that waits for it fails.
const (
	patience = time.Minute
	slow     = 10 * time.Minute
)

// rig is the setup with which a test starts agents.
type rig struct {
	t       testing.TB
	stub    *claudetest.Stub // nil for the fake
	o       Options
	mu      sync.Mutex
	session []string // as OnSession has told
}

func newRig(t testing.TB) *rig {
	t.Helper()
	f := NewFollower()
	t.Cleanup(f.Close)
	r := &rig{t: t}
	r.o = Options{
		ID: "p" + NewSessionID()[:8], Team: "api", Dir: realDir(t), Spools: filepath.Join(t.TempDir(), "spool"),
		SessionID: NewSessionID(), Transcript: true,
		StartTimeout: slow, Grace: slow, Follower: f,
		Callbacks: Callbacks{OnSession: r.onSession}, Log: slog.New(slog.NewTextHandler(logTo{t}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return r
}

// realRig starts the real program against a stub of its own.
func realRig(t testing.TB) *rig {
	t.Helper()
	program := claudetest.Real(t)
	r := newRig(t)
	r.stub = claudetest.NewStub()
	t.Cleanup(r.stub.Close)
	r.o.Command, r.o.Env = program, append(r.stub.Env(t.TempDir()), "CLAUDE_CODE_MAX_RETRIES=1")
	r.o.Args = []string{"--allowedTools=Bash"}
	return r
}

// fakeRig starts the scripted fake; each argument is one of its flags.
func fakeRig(t testing.TB, flags ...string) *rig {
	t.Helper()
	r := newRig(t)
	r.o.Command, r.o.Args = claudetest.Install(t.TempDir()), flags
	r.o.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GORACE=atexit_sleep_ms=0"}
	return r
}

// logTo shows the log of a test that fails.
type logTo struct{ t testing.TB }

func (l logTo) Write(b []byte) (int, error) {
	l.t.Logf("%s", strings.TrimSpace(string(b)))
	return len(b), nil
}

// realDir is a directory without symbolic links in its path.
func realDir(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func (r *rig) onSession(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session = append(r.session, id)
}

func (r *rig) sessions() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.session...)
}

// start starts an agent that ends with the test.
func (r *rig) start() *Process {
	r.t.Helper()
	p, err := Start(context.Background(), r.o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		stop(r.t, p)
		p.ResultRecorded()
	})
	return p
}

// again starts another process of the same conversation.
func (r *rig) again() *Process {
	r.t.Helper()
	r.o.ID += "x"
	return r.start()
}

func send(t testing.TB, p *Process, text string) *turn.Result {
	t.Helper()
	res, err := p.Send(context.Background(), &Message{Text: text})
	if err != nil {
		t.Fatalf("%.60s: %v", text, err)
	}
	return res
}

// ask sends a text and checks the answer.
func ask(t testing.TB, p *Process, text, want string) {
	t.Helper()
	if res := send(t, p, text); res.Text != want || res.Outcome != turn.Success {
		t.Errorf("%.60s: got %s %.100q, want %.100q", text, res.Outcome, res.Text, want)
	}
}

// sendSeen is Send, and has see called with each line that the agent writes meanwhile.
func sendSeen(ctx context.Context, p *Process, m *Message, see func(line []byte)) (*turn.Result, error) {
	p.WaitIdle(ctx) // all of the turn before is read then
	p.mu.Lock()
	base := p.marks.read
	p.mu.Unlock()
	s, err := p.Stream(base, "", 0)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var g got
	emit := func(piece Piece) error {
		if g.emit(piece); len(g.lines) > 0 {
			see([]byte(g.lines[0]))
			g.lines, g.seqs = nil, nil
		}
		return nil
	}
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for more := true; more; {
			select {
			case <-s.More():
			case <-over:
				more = false
			}
			s.Read(emit)
		}
	})
	res, err := p.Send(ctx, m)
	close(over)
	wg.Wait()
	return res, err
}

// under is a turn that runs while the test does something else.
type under struct {
	res  *turn.Result
	err  error
	done chan struct{}

	mu    sync.Mutex
	lines []string
}

// sending sends a text in the background; line is called with each line, and may be
// nil.
func sending(t testing.TB, ctx context.Context, p *Process, text string, line func(string)) *under {
	t.Helper()
	return sendingAs(t, ctx, p, text, nil, line)
}

// sendingAs is sending with a Message.
func sendingAs(t testing.TB, ctx context.Context, p *Process, text string, v *turn.Variant, line func(string)) *under {
	t.Helper()
	u := &under{done: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(u.done)
		u.res, u.err = sendSeen(ctx, p, &Message{Text: text, Variant: v.Value()}, func(b []byte) {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.lines = append(u.lines, string(b))
			if line != nil {
				line(string(b))
			}
		})
	})
	t.Cleanup(func() {
		stop(t, p)
		wg.Wait()
	})
	return u
}

// spoolOf notes the next turn, and returns the path of its output.
func spoolOf(p *Process) string {
	p.NextTurn()
	return p.spool.path(".out")
}

// stop stops an agent, and after a failure does not wait for it.
func stop(t testing.TB, p *Process) {
	if t.Failed() {
		p.ident.Signal(syscall.SIGKILL)
	}
	p.Stop()
}

// begin is sending, and returns when a line has come that contains word.
func begin(t testing.TB, ctx context.Context, p *Process, text, word string) *under {
	t.Helper()
	seen := make(chan struct{})
	once := sync.OnceFunc(func() { close(seen) })
	u := sending(t, ctx, p, text, func(line string) {
		if strings.Contains(line, word) {
			once()
		}
	})
	select {
	case <-seen:
	case <-u.done:
		t.Fatalf("%s: ended before %q: %+v, %v", text, word, u.res, u.err)
	case <-time.After(patience):
		t.Fatalf("%s: no %q", text, word)
	}
	return u
}

// wait returns how the turn ended, and fails when it does not.
func (u *under) wait(t testing.TB) (*turn.Result, error) {
	t.Helper()
	select {
	case <-u.done:
		return u.res, u.err
	case <-time.After(patience):
		t.Fatalf("turn has not ended in %v", patience)
		return nil, nil
	}
}

// eventually waits until ok says yes. It is for what other processes do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// gate returns the path of a file that does not exist, and a function that makes it:
// a delay of "@" and that path then ends.
func gate(t testing.TB) (path string, open func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "gate")
	return path, func() {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// untilOpen is a shell command that waits for that.
func untilOpen(path string) string { return "until test -e " + path + "; do sleep 0.05; done" }

// endAll ends processes that a test has left on purpose.
func endAll(pids []int) {
	for _, pid := range pids {
		procs.Identify(pid).Signal(syscall.SIGKILL)
	}
}
