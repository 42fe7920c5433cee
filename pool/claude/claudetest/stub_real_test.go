package claudetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// realAgent starts the real program against a stub of its own.
func realAgent(t *testing.T, args ...string) (*agent, *Stub) {
	t.Helper()
	program := Real(t)
	stub := NewStub()
	t.Cleanup(stub.Close)
	env := append(stub.Env(t.TempDir()), "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS=1", "CLAUDE_CODE_MAX_RETRIES=1")
	dir := workDir(t)
	if err := os.WriteFile(filepath.Join(dir, "CLAUDE.md"), []byte("the marker is heliotrope\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return start(t, program, dir, env, args...).ready(), stub
}

func TestStubSteersTheRealProgram(t *testing.T) {
	a, stub := realAgent(t)
	for _, c := range []struct{ text, want string }{
		{"echo:hello", "hello"},
		{"echo: two\nlines ", " two\nlines "},
		{"slow:3:5ms", SlowText(3)},
		{"size:100000", Text(100_000)},
		{`tool:Bash:{"command":"echo ran-$((6*7))","description":"d"}`, "tool said: ran-42"},
		{"nothing known", "ok: nothing known"},
		{`say:and |tool:Bash:{"command":"echo ran","description":"d"}`, "tool said: ran"},
		{"list:\n" + `tool:Bash:{"command":"echo a","description":"d"}` + "\n" + `tool:Bash:{"command":"echo b","description":"d"}` + "\necho:c", "c"},
		{"max:one |two", "two"},
		{"count", "10"},
		{"echo:<system-reminder>x</system-reminder>", "<system-reminder>x</system-reminder>"},
	} {
		if got := a.ask(c.text); got.Result != c.want || got.IsError || got.Cost <= 0 {
			t.Errorf("%.40q: got %.100q (error %v, cost %v), want %.100q", c.text, got.Result, got.IsError, got.Cost, c.want)
		}
	}
	if got := a.ask("ctx").Result; !strings.Contains(got, "heliotrope") || strings.Contains(got, "nothing known") {
		t.Errorf("ctx: got %.300q, want the text of CLAUDE.md and no user's text", got)
	}
	var first, on []string
	for _, r := range stub.Turns() {
		if !r.Continues {
			first = append(first, r.User)
		} else {
			on = append(on, r.Said)
		}
		if r.Session == "" || r.Key != "dummy" || !r.Stream || r.Tools == 0 || r.User == "" {
			t.Errorf("log entry lacks something: %+v", r)
		}
	}
	if want := []string{"ran-42", "ran", "a", "b", ""}; len(first) != 12 || !slices.Equal(on, want) {
		t.Errorf("log: %d turns %q, and those that went on: %q", len(first), first, on)
	}
	if code := a.eof(); code != 0 {
		t.Errorf("exit status: got %d, want 0", code)
	}
}

func TestRealNotesWhatEndedInTheBackground(t *testing.T) {
	a, stub := realAgent(t)
	a.ask(`tool:Bash:{"command":"sleep 0.2","description":"d","run_in_background":true}`)
	if got, want := a.result(), `noted: Background command "d" completed (exit code 0)`; got.Result != want || got.Origin == nil {
		t.Errorf("got %s, want the result %s", got.raw, want)
	}
	a.eof()
	if turns := stub.Turns(); turns[len(turns)-1].Notified == "" {
		t.Errorf("log: got %+v", turns[len(turns)-1])
	}
}

func TestStubKeepsContextOverResume(t *testing.T) {
	const id = "6f1cf4d2-6f4e-4f0b-9f63-1c3f3b6f0a11"
	a, stub := realAgent(t, "--session-id", id)
	a.ask("echo:one")
	a.eof()
	b := start(t, a.cmd.Path, a.cmd.Dir, a.cmd.Env, "--resume", id).ready()
	if got, want := b.ask("dump").Result, `["echo:one","dump"]`; got != want {
		t.Errorf("after resume: got %s, want %s", got, want)
	}
	b.eof()
	if turns := stub.Turns(); len(turns) != 2 || turns[1].Session != id {
		t.Errorf("log: got %+v", turns)
	}
}

func TestStubStatusCodesAgainstTheRealProgram(t *testing.T) {
	a, stub := realAgent(t)
	for _, code := range []int{400, 401, 403, 404, 413, 429, 500, 529} {
		got := a.ask(fmt.Sprintf("status:%d", code))
		if !got.IsError || got.APIStatus == nil || *got.APIStatus != code {
			t.Errorf("status %d: got %s", code, got.raw)
		}
	}
	if got := a.ask("status:500:1"); got.IsError || got.Result != "ok: status:500:1" {
		t.Errorf("second try: got %s", got.raw)
	}
	before := len(stub.Turns())
	begun := time.Now()
	a.ask("status:429:1:1")
	if d := time.Since(begun); d < time.Second || len(stub.Turns()) != before+2 {
		t.Errorf("retry-after 1: took %v and %d requests", d, len(stub.Turns())-before)
	}
}

// awaitTurn waits until the model has been asked that, not before since.
func (s *Stub) awaitTurn(t *testing.T, text string, since time.Time) {
	t.Helper()
	asked := func(r Request) bool { return r.User == text && !r.Time.Before(since) }
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if slices.ContainsFunc(s.Turns(), asked) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the model was not asked %q", text)
		}
	}
}

func TestStubHangStallAndCutAgainstTheRealProgram(t *testing.T) {
	a, stub := realAgent(t)
	for _, text := range []string{"hang", "stall"} {
		since := time.Now()
		a.user(text)
		stub.awaitTurn(t, text, since)
		a.control("i", `{"subtype":"interrupt"}`)
		if got := a.result(); got.Terminal != "aborted_streaming" {
			t.Errorf("%s: got %s", text, got.raw)
		}
	}
	if got := a.ask("cut"); !got.IsError || !strings.Contains(got.Result, "Connection to the API was lost") {
		t.Errorf("cut: got %s", got.raw)
	}
	a.user("hang") // Close must end it
}
