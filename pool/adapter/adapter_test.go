package adapter

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"iris/pool/adapter/adaptertest"
	"iris/pool/echo"
	"iris/pool/procs"
)

func TestMain(m *testing.M) {
	adaptertest.Main()
	if len(os.Args) > 2 && os.Args[1] == "agent" {
		run := func() int { return Run(context.Background(), os.Args[2], os.Args[3:], os.Stdin, os.Stdout, os.Stderr) }
		if os.Args[2] == "echo" {
			run = func() int { return echo.Run(context.Background(), os.Args[3:], os.Stdin, os.Stdout, os.Stderr) }
		}
		os.Exit(run())
	}
	goleak.VerifyTestMain(m)
}

const patience = time.Minute

// rig is a running adapter.
type rig struct {
	t      *testing.T
	in     *io.PipeWriter
	lines  chan line
	cancel context.CancelFunc
	status chan int
	stderr bytes.Buffer
	wg     sync.WaitGroup
}

type line struct {
	Type, Subtype, State string
	RequestID            string `json:"request_id"`
	SessionID            string `json:"session_id"`
	IsError              bool   `json:"is_error"`
	APIStatus            int    `json:"api_error_status"`
	Result               string
	Terminal             string        `json:"terminal_reason"`
	Stop                 string        `json:"stop_reason"`
	Cost                 float64       `json:"total_cost_usd"`
	Denials              []echo.Denial `json:"permission_denials"`
	Usage                struct {
		Input int64 `json:"input_tokens"`
	}
	Request  struct{ Subtype, ToolName string }
	Response struct{ Subtype, Error string }
	Message  struct{ Content json.RawMessage }
	raw      string
}

const theSession = "11111111-2222-4333-8444-555555555555"

// launch runs an adapter in a directory of its own, unless it is in one.
func launch(t *testing.T, flags []string, modes ...string) *rig {
	t.Helper()
	t.Setenv("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1")
	if os.Getenv(procs.EnvState) == "" {
		t.Setenv(procs.EnvState, t.TempDir())
		t.Chdir(t.TempDir())
	}
	in, w := io.Pipe()
	out, stdout := io.Pipe()
	r := &rig{t: t, in: w, lines: make(chan line, 1000), status: make(chan int, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	args := append([]string{"-p", "--include-partial-messages", "--session-id=" + theSession}, flags...)
	args = append(append(args, "--"), adaptertest.Command(modes...)...)
	r.wg.Go(func() {
		r.status <- Run(ctx, "acp", args, in, stdout, &r.stderr)
		in.Close()
		stdout.Close()
	})
	r.wg.Go(func() {
		defer close(r.lines)
		br := bufio.NewReader(out)
		for {
			raw, err := br.ReadString('\n')
			if err != nil {
				return
			}
			l := line{raw: raw}
			json.Unmarshal([]byte(raw), &l)
			r.lines <- l
		}
	})
	t.Cleanup(func() { cancel(); w.Close(); r.wg.Wait() })
	return r
}

// await returns the next line of which is holds.
func (r *rig) await(what string, is func(line) bool) line {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case l, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("it ended before %s; stderr: %s", what, &r.stderr)
			}
			if is(l) {
				return l
			}
		case <-deadline:
			r.t.Fatalf("no %s", what)
		}
	}
}

func (r *rig) result() line {
	r.t.Helper()
	return r.await("result", func(l line) bool { return l.Type == "result" })
}

func (r *rig) say(acts ...string) {
	r.in.Write(echo.Encode(map[string]any{"type": "user", "uuid": echo.NewUUID(), "message": map[string]any{"role": "user", "content": strings.Join(acts, "\n")}}))
}

func (r *rig) write(text string) { io.WriteString(r.in, text+"\n") }

func (r *rig) initialize() line {
	r.t.Helper()
	r.write(`{"type":"control_request","request_id":"i","request":{"subtype":"initialize"}}`)
	return r.await("answer to initialize", func(l line) bool { return l.Type == "control_response" })
}

// end closes the input and returns the exit status.
func (r *rig) end() int {
	r.t.Helper()
	r.in.Close()
	select {
	case s := <-r.status:
		return s
	case <-time.After(patience):
		r.t.Fatal("it does not end with its input")
	}
	return 0
}

func TestTurn(t *testing.T) {
	r := launch(t, nil)
	r.initialize()
	r.say("before", "tool:ls", "think", "the answer", "noise", " is this")
	var words []string
	end := r.await("idle", func(l line) bool {
		word := l.Type
		switch {
		case l.Subtype == "session_state_changed":
			word = l.State
		case l.Type == "assistant" || l.Type == "user":
			var blocks []struct{ Type string }
			json.Unmarshal(l.Message.Content, &blocks)
			word = blocks[0].Type
		case l.Type == "result":
			if l.Result != "the answeris this" || l.IsError || l.Usage.Input != 7 || l.SessionID != theSession {
				t.Errorf("got %s", l.raw)
			}
		}
		words = append(words, word)
		return l.State == "idle"
	})
	const want = "running command_lifecycle command_lifecycle system stream_event text tool_use tool_result " +
		"stream_event stream_event stream_event text result command_lifecycle idle"
	if got := strings.Join(words, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s := r.end(); s != 0 || end.SessionID != theSession {
		t.Errorf("got status %d, %s", s, &r.stderr)
	}
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		say      string
		isError  bool
		status   int
		terminal string
		subtype  string
		text     string
	}{
		{"stop:end_turn", false, 0, "completed", "success", ""},
		{"stop:refusal", true, 0, "", "success", "the model refuses to answer"},
		{"stop:max_turn_requests", true, 0, "", "error_max_turns", "limit of requests reached"},
		{"stop:cancelled", true, 0, "aborted_by_program", "success", "cancelled"},
		{"stop:odd", true, 0, "", "success", `unknown stop reason "odd"`},
		{"error:-32603:the server has status 400 for you", true, 400, "api_error", "success", "API error: "},
		{"error:-32603:Rate limit reached", true, 429, "api_error", "success", "Rate limit reached"},
		{"error:-32000:Authentication required", true, 401, "api_error", "success", "not logged in"},
		{"error:503:down", true, 503, "api_error", "success", "down"},
		{"error:-32603:odd", true, 0, "", "success", "API error: "},
	} {
		t.Run(c.say, func(t *testing.T) {
			r := launch(t, nil)
			r.say(c.say)
			if l := r.result(); l.IsError != c.isError || l.APIStatus != c.status || l.Terminal != c.terminal || l.Subtype != c.subtype || !strings.Contains(l.Result, c.text) {
				t.Errorf("got %s", l.raw)
			}
			r.say("still here")
			if l := r.result(); l.Result != "still here" {
				t.Errorf("got %s", l.raw)
			}
		})
	}
}

func TestAnAnswerCutOffAtTheLimitOfTokensIsNotWhole(t *testing.T) {
	r := launch(t, nil)
	r.say("half of", "stop:max_tokens")
	if l := r.result(); l.Result != "half of" || l.Stop != "" {
		t.Errorf("got %s", l.raw)
	}
}

func TestAnswerIsTheLastMessageOfTheProgram(t *testing.T) {
	r := launch(t, nil)
	r.say("a notice", "message:1:first", "message:2:the-", "message:2:answer", "another notice")
	if l := r.result(); l.Result != "the-answer" {
		t.Errorf("got %s", l.raw)
	}
}

func TestPermission(t *testing.T) {
	for _, c := range []struct{ answer, option string }{
		{`{"behavior":"allow","updatedInput":{}}`, `"optionId":"8"`},
		{`{"behavior":"deny","message":"no"}`, `"optionId":"7"`},
	} {
		r := launch(t, nil)
		r.say("ask:rm -rf x")
		q := r.await("request", func(l line) bool { return l.Type == "control_request" })
		if !strings.Contains(q.raw, `"tool_name":"execute"`) || !strings.Contains(q.raw, `"input":{"command":"rm -rf x"}`) {
			t.Errorf("got %s", q.raw)
		}
		r.write(fmt.Sprintf(`{"type":"control_response","response":{"subtype":"success","request_id":%q,"response":%s}}`, q.RequestID, c.answer))
		l := r.result()
		if denied := strings.Contains(c.answer, "deny"); !strings.Contains(l.Result, c.option) || denied != (len(l.Denials) == 1) {
			t.Errorf("got %s", l.raw)
		}
	}
}

func TestNobodyDecidesAfterTheEndOfInput(t *testing.T) {
	r := launch(t, nil)
	r.say("ask:a", "ask:b", "sleep:100ms", "after")
	r.await("request", func(l line) bool { return l.Type == "control_request" })
	r.in.Close()
	if l := r.result(); len(l.Denials) != 2 || !strings.HasSuffix(l.Result, "after") {
		t.Errorf("got %s", l.raw)
	}
	if s := r.end(); s != 0 {
		t.Errorf("got status %d: a turn is finished although the input has ended", s)
	}
}

func TestInterrupt(t *testing.T) {
	const interrupt = `{"type":"control_request","request_id":"x","request":{"subtype":"interrupt"}}`
	for _, act := range []string{"hang", "ask:x", "deaf"} {
		r := launch(t, nil)
		r.say("part", act)
		r.await("beginning", func(l line) bool { return l.Type == "stream_event" || l.Type == "control_request" })
		r.write(interrupt)
		if l := r.result(); !strings.HasPrefix(l.Terminal, "aborted") {
			t.Errorf("%s: got %s", act, l.raw)
		}
		if act == "deaf" { // the program was killed
			if s := <-r.status; s != 1 {
				t.Errorf("got status %d", s)
			}
			continue
		}
		r.await("idle after "+act, func(l line) bool { return l.State == "idle" })
		r.say("again")
		if l := r.result(); !strings.Contains(l.Result, "again") {
			t.Errorf("%s: got %s", act, l.raw)
		}
	}
}

func TestAnInterruptRightBehindAMessageIsNotLost(t *testing.T) {
	r := launch(t, nil)
	for range 20 {
		r.say("hang")
		r.write(`{"type":"control_request","request_id":"x","request":{"subtype":"interrupt"}}`)
		if l := r.result(); !strings.HasPrefix(l.Terminal, "aborted") {
			t.Fatalf("got %s", l.raw)
		}
		r.await("idle", func(l line) bool { return l.State == "idle" })
	}
	r.say("again")
	if l := r.result(); l.Result != "again" {
		t.Errorf("got %s", l.raw)
	}
}

func TestAnUnknownRequestIsRefused(t *testing.T) {
	r := launch(t, nil)
	r.say("request", "done")
	if l := r.result(); l.Result != "done" {
		t.Errorf("got %s", l.raw)
	}
}

func TestConversationGoesOnInAnotherProcess(t *testing.T) {
	for _, mode := range []string{"", "resume"} {
		t.Setenv(procs.EnvState, t.TempDir())
		t.Chdir(t.TempDir())
		r := launch(t, nil, mode)
		r.say("one", "cost:0.5")
		if l := r.result(); l.Cost != 0.5 {
			t.Errorf("got %s", l.raw)
		}
		r.end()
		r = launch(t, []string{"--resume=" + theSession}, mode)
		r.say("two", "cost:0.75")
		if l := r.result(); l.Result != "two" || l.Cost != 0.25 {
			t.Errorf("got %s", l.raw)
		}
		r.end()
		said, _ := filepath.Glob("fake_*")
		data, _ := os.ReadFile(said[0])
		if len(said) != 1 || strings.Count(string(data), "\n") != 2 {
			t.Errorf("got %v, %s", said, data)
		}
	}
}

func TestALostConversationIsNamed(t *testing.T) {
	for _, mode := range []string{"forgets", "new"} {
		t.Setenv(procs.EnvState, t.TempDir())
		t.Chdir(t.TempDir())
		r := launch(t, nil)
		r.say("one")
		r.result()
		r.end()
		r = launch(t, nil, mode)
		if s := r.end(); s != 1 || !strings.HasPrefix(r.stderr.String(), "Error: No conversation found: ") {
			t.Errorf("%s: got %d, %s", mode, s, &r.stderr)
		}
	}
	t.Setenv(procs.EnvState, t.TempDir())
	r := launch(t, []string{"--resume=" + theSession})
	if s := r.end(); s != 1 || !strings.Contains(r.stderr.String(), "No conversation found") {
		t.Errorf("got %d, %s", s, &r.stderr)
	}
}

func TestLogin(t *testing.T) {
	r := launch(t, nil, "logout")
	r.initialize()
	r.say("one")
	if l := r.result(); l.APIStatus != 401 || !strings.Contains(l.Result, "not logged in") {
		t.Errorf("got %s", l.raw)
	}
	os.WriteFile("login", nil, 0o600)
	r.say("two")
	if l := r.result(); l.Result != "two" {
		t.Errorf("got %s", l.raw)
	}
}
