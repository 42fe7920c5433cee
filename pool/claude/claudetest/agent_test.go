package claudetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/pool/echo"
)

// line is what the tests read of one line of output.
type line struct {
	Type, Subtype, State, Result, UUID string
	IsError                            bool    `json:"is_error"`
	SessionID                          string  `json:"session_id"`
	APIStatus                          *int    `json:"api_error_status"`
	Terminal                           string  `json:"terminal_reason"`
	Turns                              int     `json:"num_turns"`
	Cost                               float64 `json:"total_cost_usd"`
	Errors                             []string
	Origin                             *struct{ Kind string }
	Denials                            []json.RawMessage `json:"permission_denials"`
	Response                           struct {
		Subtype  string
		Error    string
		ID       string `json:"request_id"`
		Response json.RawMessage
	}
	raw string
}

// agent is one process under test, spoken to as the driver does.
type agent struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  chan line
	stderr buffer
	wg     sync.WaitGroup
	err    error // of Wait, valid after exit
	ended  error // why lines has ended, valid after that
	bytes  int   // taken from lines so far
	seen   []line
	sent   []string // ids of the messages
	next   *agent   // what took its place
	stub   *Stub    // that it asks, nil for none

	unpieced bool // pieces of an answer are left out of the record
}

// buffer may be read while the process writes.
type buffer struct {
	mu sync.Mutex // protects b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// base is the command line that the driver uses.
var base = []string{"-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"}

// start runs program and ends it with the test.
func start(t *testing.T, program, dir string, env []string, args ...string) *agent {
	t.Helper()
	a := &agent{t: t, cmd: exec.Command(program, append(append([]string{}, base...), args...)...), lines: make(chan line, 100_000)}
	a.cmd.Dir, a.cmd.Env, a.cmd.Stderr = dir, env, &a.stderr
	a.cmd.WaitDelay = 5 * time.Second
	stdin, err := a.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	a.stdin, a.cmd.Stdout = stdin, w
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	a.wg.Go(func() { a.read(r) })
	t.Cleanup(a.stop)
	return a
}

// read decodes lines until the output ends.
func (a *agent) read(r *os.File) {
	defer close(a.lines)
	defer r.Close()
	br := bufio.NewReader(r)
	for {
		raw, err := br.ReadString('\n')
		if raw != "" {
			l := line{raw: strings.TrimRight(raw, "\n")}
			if json.Unmarshal([]byte(raw), &l) != nil {
				l.Type = "garbage"
			}
			a.lines <- l
		}
		if err != nil {
			a.ended = err
			return
		}
	}
}

func (a *agent) stop() {
	if a.cmd.ProcessState == nil {
		a.cmd.Process.Signal(syscall.SIGKILL)
		a.cmd.Wait()
	}
	a.wg.Wait()
}

// exit waits for the process to end and returns its status: -1 for a signal.
func (a *agent) exit() int {
	a.t.Helper()
	timer := time.AfterFunc(2*time.Minute, func() { a.cmd.Process.Kill() })
	defer timer.Stop()
	a.err = a.cmd.Wait()
	a.wg.Wait()
	return a.cmd.ProcessState.ExitCode()
}

// write sends one line as it is.
func (a *agent) write(format string, args ...any) {
	a.t.Helper()
	if _, err := fmt.Fprintf(a.stdin, format+"\n", args...); err != nil {
		a.t.Fatalf("write: %v; stderr: %s", err, a.stderr.String())
	}
}

func (a *agent) user(text string) {
	a.t.Helper()
	a.write("%s", a.userLine(text))
}

// userLine is a message as one line, with an id of its own.
func (a *agent) userLine(text string) string {
	id := echo.NewUUID()
	a.sent = append(a.sent, id)
	return fmt.Sprintf(`{"type":"user","uuid":%q,"message":{"role":"user","content":%s}}`, id, toJSON(text))
}

func (a *agent) control(id, request string) {
	a.t.Helper()
	a.write(`{"type":"control_request","request_id":%q,"request":%s}`, id, request)
}

// until reads up to the first line that match accepts.
func (a *agent) until(what string, match func(line) bool) line {
	a.t.Helper()
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	for {
		select {
		case l, ok := <-a.lines:
			if !ok {
				a.exit()
				a.t.Fatalf("output ended (%v) before %s; %v (%v); stderr: %s", a.ended, what, a.cmd.ProcessState, a.err, a.stderr.String())
			}
			a.bytes += len(l.raw) + 1
			a.seen = append(a.seen, l)
			if match(l) {
				return l
			}
		case <-timer.C:
			a.t.Fatalf("no %s in a minute; stderr: %s", what, a.stderr.String())
		}
	}
}

func (a *agent) result() line {
	a.t.Helper()
	return a.until("result", func(l line) bool { return l.Type == "result" })
}

func (a *agent) response(id string) line {
	a.t.Helper()
	return a.until("answer to "+id, func(l line) bool { return l.Type == "control_response" && l.Response.ID == id })
}

// ready sends initialize and waits for its answer.
func (a *agent) ready() *agent {
	a.t.Helper()
	a.control("init", `{"subtype":"initialize"}`)
	a.response("init")
	return a
}

// ask sends text and returns the result.
func (a *agent) ask(text string) line {
	a.t.Helper()
	a.user(text)
	return a.result()
}

// eof closes stdin and returns the exit status.
func (a *agent) eof() int {
	a.t.Helper()
	a.stdin.Close()
	return a.exit()
}

// workDir is an existing directory without symbolic links in its path.
func workDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// touch makes a file, for which something may wait.
func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Error(err)
	}
}

// await waits for a file and returns its content.
func await(t *testing.T, path string) string {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if data, err := os.ReadFile(path); err == nil {
			return string(data)
		}
		if time.Now().After(end) {
			t.Fatalf("%s did not come", path)
		}
	}
}
