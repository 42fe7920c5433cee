package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The transcripts of the real program are where iris looks for them, and a turn
// is found in them by when it was.
func TestRealTranscriptIsShown(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	h := r.house(t, "iris")
	h.run("send", "real", "echo:first")
	h.run("send", "real", `tool:Bash:{"command":"seq 1 30","description":"count"}`)
	h.run("send", "real", "echo:last")
	id := strings.Fields(h.run("messages", "-q", "real"))[1]
	read := func(args ...string) string {
		return stamps.ReplaceAllString(h.run(append([]string{"logs"}, args...)...), "")
	}
	var all string
	for end := time.Now().Add(time.Minute); !strings.HasSuffix(all, "agent\n  last\n"); time.Sleep(20 * time.Millisecond) {
		if all = read("real"); time.Now().After(end) {
			t.Fatalf("got\n%s", all)
		}
	}
	if !strings.HasPrefix(all, "you\n  echo:first\nagent\n  first\n\nyou\n  tool:Bash:") {
		t.Errorf("got\n%s", all)
	}
	turn := read(id)
	want := "Bash: seq 1 30\nBash answered\n  1\n"
	if !strings.HasPrefix(turn, "you\n  tool:Bash:") || !strings.Contains(turn, want) || !strings.Contains(turn, "[20 lines more") ||
		strings.Contains(turn, "first") || strings.Contains(turn, "last") {
		t.Errorf("got\n%s", turn)
	}
	// Lines outside of all turns are only in the whole conversation.
	if raw := h.run("logs", id, "--raw"); strings.Count(raw, `"tool_use_id"`) != 1 || strings.Contains(raw, "echo:") {
		t.Errorf("got\n%s", raw)
	}
}

// Whether somebody is logged in the real program says itself. It may knock at the
// API for that, and no more.
func TestRealDoctor(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	h := newHouse(t, "iris", "")
	h.configure(r.team(h, "real", h.mkdir("project")) + fmt.Sprintf("[teams.nobody]\ndir = %q\ncommand = %q\n", h.mkdir("project"), r.program))
	for _, daemon := range []string{"without a daemon", "with one"} {
		out, err := h.command("doctor").Output()
		text := string(out)
		if err == nil || !strings.Contains(text, " 2.1.") || !strings.Contains(text, "logged in (api_key)\n") ||
			!strings.Contains(text, "fail  team nobody    not logged in: ") || strings.Contains(text, "dummy") {
			t.Errorf("%s: %v\n%s", daemon, err, text)
		}
		h.run("ps")
	}
	for _, request := range r.stub.Requests() {
		if request.Method != http.MethodHead {
			t.Errorf("the API was called: %+v", request)
		}
	}
}
