package echo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type out struct {
	Type, Subtype, State string
	Result               *string
	IsError              bool   `json:"is_error"`
	Terminal             string `json:"terminal_reason"`
	Errors               []string
	Response             struct{ Subtype, Error string }
	Message              struct{ Content json.RawMessage }
	Cost                 float64 `json:"total_cost_usd"`
}

// word describes a line in one word.
func (o out) word() string {
	switch {
	case o.Subtype == "session_state_changed":
		return o.State
	case o.Subtype != "":
		return o.Type + "/" + o.Subtype
	case o.Type == "control_response":
		return o.Type + "/" + o.Response.Subtype
	}
	return o.Type
}

func words(lines []out) string {
	var w []string
	for _, l := range lines {
		w = append(w, l.word())
	}
	return strings.Join(w, " ")
}

func userLine(text string) string {
	return string(Encode(map[string]any{"type": "user", "message": map[string]any{"role": "user", "content": text}}))
}

func control(subtype string) string {
	return `{"type":"control_request","request_id":"r","request":{"subtype":"` + subtype + `"}}` + "\n"
}

// run gives input to the agent, all at once, and returns its output.
func run(t *testing.T, input string, args ...string) (lines []out, stderr string, status int) {
	t.Helper()
	t.Setenv("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1")
	var stdout, errout bytes.Buffer
	status = Run(t.Context(), args, strings.NewReader(input), &stdout, &errout)
	return parse(t, &stdout), errout.String(), status
}

func parse(t *testing.T, r io.Reader) []out {
	t.Helper()
	var lines []out
	br := bufio.NewReader(r)
	for {
		raw, err := br.ReadBytes('\n')
		if err != nil {
			return lines
		}
		var o out
		if err := json.Unmarshal(raw, &o); err != nil {
			t.Fatalf("line %.100q: %v", raw, err)
		}
		lines = append(lines, o)
	}
}

func TestAnswersWithTheMessageItself(t *testing.T) {
	for _, text := range []string{
		"hello", "", "/help", "/sleepy", "/sleep nonsense x", "two\nlines\n", " \t<&> \u2028 \u0000 \x7f",
		"Grüße 世界 🌍", strings.Repeat("ż", 1<<20),
	} {
		lines, stderr, status := run(t, userLine(text))
		if got, want := words(lines), "running system/init assistant result/success idle"; got != want || status != 0 || stderr != "" {
			t.Fatalf("%.20q: got %s, status %d, stderr %q; want %s", text, got, status, stderr, want)
		}
		if r := lines[3]; *r.Result != text || r.IsError || r.Cost != 0 {
			t.Errorf("%.20q: got %.100q", text, *r.Result)
		}
	}
}

func TestTakesContentAsBlocksAndALastLineWithoutAnEnd(t *testing.T) {
	lines, _, status := run(t, `{"type":"user","message":{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}`)
	if status != 0 || len(lines) != 5 || *lines[3].Result != "a\nb" {
		t.Errorf("got %s, status %d", words(lines), status)
	}
}

func TestAnswersControlRequests(t *testing.T) {
	lines, _, status := run(t, control("initialize")+control("get_binary_version")+control("interrupt")+control("nonsense")+control("end_session")+userLine("late"))
	want := "control_response/success control_response/success control_response/success control_response/error control_response/success"
	if got := words(lines); got != want || status != 0 {
		t.Errorf("got %s, status %d, want %s", got, status, want)
	}
	if got, want := lines[3].Response.Error, "Unsupported control request subtype: nonsense"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMalformedInputEndsIt(t *testing.T) {
	for _, input := range []string{
		"not json", "{", "null", `{"type":"user"}`, `{"type":"control_request"}`,
		`{"type":"user","message":{"role":"assistant","content":"x"}}`,
	} {
		lines, stderr, status := run(t, input+"\n"+control("initialize"))
		if status != 1 || !strings.HasPrefix(stderr, "Error") || strings.Count(stderr, "\n") != 1 || len(lines) != 0 {
			t.Errorf("%q: got status %d, stderr %q, %d lines", input, status, stderr, len(lines))
		}
	}
	lines, stderr, status := run(t, `{"type":"user","message":{"role":"user"}}`+"\n")
	if got, want := words(lines), "running system/init assistant result/success idle"; got != want || status != 0 || stderr != "" {
		t.Errorf("no content: got %s, status %d, stderr %q; want %s", got, status, stderr, want)
	}
}

func TestIgnoresWhatTheRealProgramIgnores(t *testing.T) {
	lines, stderr, status := run(t, "\n[]\n5\n\"x\"\n{}\n"+`{"type":"keep_alive"}`+"\n"+userLine("x"))
	if got, want := words(lines), "running system/init assistant result/success idle"; got != want || status != 0 || stderr != "" {
		t.Errorf("got %s, status %d, stderr %q; want %s", got, status, stderr, want)
	}
}

func TestRefusesALineOverTheLimit(t *testing.T) {
	_, stderr, status := run(t, strings.Repeat("x", maxLine+1))
	if status != 1 || len(stderr) > 200 {
		t.Errorf("got status %d, stderr %.300q", status, stderr)
	}
}

func TestFailsOnRequest(t *testing.T) {
	lines, _, status := run(t, userLine("/fail no good"))
	if got, want := words(lines), "running system/init result/error_during_execution idle"; got != want || status != 1 {
		t.Fatalf("got %s, status %d, want %s", got, status, want)
	}
	if got, want := lines[2].Errors[0], "failed on request: no good"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// live is an agent inside a bubble, with its input open.
type live struct {
	in     *io.PipeWriter
	out    bytes.Buffer
	mu     sync.Mutex
	status chan int
}

func (l *live) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *live) words(t *testing.T) string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return words(parse(t, bytes.NewReader(l.out.Bytes())))
}

func startLive(ctx context.Context) *live {
	r, w := io.Pipe()
	l := &live{in: w, status: make(chan int, 1)}
	var wg sync.WaitGroup
	wg.Go(func() { l.status <- Run(ctx, nil, r, l, io.Discard) })
	return l
}

func TestInterruptEndsATurnAndNotTheAgent(t *testing.T) {
	t.Setenv("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1")
	synctest.Test(t, func(t *testing.T) {
		l := startLive(t.Context())
		io.WriteString(l.in, userLine("/sleep 1h x"))
		time.Sleep(time.Second)
		io.WriteString(l.in, control("interrupt"))
		io.WriteString(l.in, userLine("/sleep 1s"))
		time.Sleep(2 * time.Second)
		const want = "running system/init control_response/success user result/error_during_execution " +
			"system/init assistant result/success idle"
		got := strings.Replace(l.words(t), "result/error_during_execution idle running", "result/error_during_execution", 1)
		if got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		l.in.Close()
		if s := <-l.status; s != 0 {
			t.Errorf("got status %d, want 0", s)
		}
	})
}

func TestAnInterruptRightBehindAMessageIsNotLost(t *testing.T) {
	for range 200 {
		lines, _, _ := run(t, userLine("/sleep 1h")+control("interrupt"))
		if got := lines[len(lines)-2].word(); got != "result/error_during_execution" {
			t.Fatalf("got %s", words(lines))
		}
	}
}

func TestEndOfInputFinishesTheTurnInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startLive(t.Context())
		io.WriteString(l.in, userLine("/sleep 1h done"))
		l.in.Close()
		begun := time.Now()
		if s := <-l.status; s != 0 || time.Since(begun) != time.Hour {
			t.Errorf("got status %d after %v", s, time.Since(begun))
		}
	})
}

func TestEndSessionInterruptsTheTurn(t *testing.T) {
	t.Setenv("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1")
	synctest.Test(t, func(t *testing.T) {
		l := startLive(t.Context())
		io.WriteString(l.in, userLine("/sleep 1h"))
		io.WriteString(l.in, control("end_session"))
		if s := <-l.status; s != 1 {
			t.Errorf("got status %d, want 1", s)
		}
		if got, want := l.words(t), "running system/init control_response/success user result/error_during_execution idle"; got != want &&
			got != "running control_response/success system/init user result/error_during_execution idle" {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestMessagesThatWaitAreMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startLive(t.Context())
		io.WriteString(l.in, userLine("/sleep 1s first"))
		synctest.Wait()
		io.WriteString(l.in, userLine("a")+userLine("b"))
		l.in.Close()
		<-l.status
		var results []string
		for _, o := range parse(t, &l.out) {
			if o.Result != nil {
				results = append(results, *o.Result)
			}
		}
		if got := strings.Join(results, "|"); got != "first|a\nb" {
			t.Errorf("got %q", got)
		}
	})
}

func TestCancelLeavesWithoutAResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := startLive(ctx)
		io.WriteString(l.in, userLine("/sleep 1h"))
		synctest.Wait()
		cancel()
		if s := <-l.status; s != 143 {
			t.Errorf("got status %d, want 143", s)
		}
		l.in.Close()
		if got := l.words(t); strings.Contains(got, "result") {
			t.Errorf("got %s, want no result", got)
		}
	})
}

func TestTellsItsOptions(t *testing.T) {
	for _, args := range [][]string{{"--session-id", "S"}, {"--session-id=S"}, {"--resume", "S"}, {"--resume=S"}, {"-p", "--verbose", "--model", "m", "-r", "S"}} {
		o := ParseOptions(args)
		if o.SessionID != "S" || !o.Named || o.Resume == (args[0] == "--session-id" || args[0] == "--session-id=S") {
			t.Errorf("%v: got %+v", args, o)
		}
	}
	if o := ParseOptions(nil); len(o.SessionID) != 36 || o.Named {
		t.Errorf("got %+v, want a new id", o)
	}
}

func TestHelpNamesTheCommands(t *testing.T) {
	var b bytes.Buffer
	if s := Run(t.Context(), []string{"--help"}, nil, &b, nil); s != 0 || !strings.HasPrefix(b.String(), "usage: iris agent echo ") || !strings.Contains(b.String(), "/sleep") {
		t.Errorf("got status %d, %q", s, b.String())
	}
}
