package main

import (
	"strings"
	"testing"
)

// What the API refuses can be taken back; the conversation then goes on before it, also
// with the next agent.
func TestRealConversationIsRewound(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	iris := irisPath(t)
	h := newHouse(t, iris, "")
	h.configure(r.team(h, "real", h.mkdir("project")))
	run := func(want string, args ...string) {
		t.Helper()
		out, _ := h.command(args...).CombinedOutput()
		if got := strings.TrimSpace(string(out)); !strings.Contains(got, want) {
			t.Errorf("iris %s: got %q, want %q", strings.Join(args, " "), got, want)
		}
	}
	run("one", "send", "real", "echo:one")
	run("API Error", "send", "real", "status:400")
	run(`"iris session rewind real" takes that back`, "send", "real", "status:400")
	run("2 turns taken back, the last message is now: echo:one", "session", "rewind", "real")
	run(`["echo:one","dump"]`, "send", "real", "dump")
	run("", "evict", "real")
	run(`["echo:one","dump","dump"]`, "send", "real", "dump")
	run("2 turns taken back, the last message is now: echo:one", "session", "rewind", "-n", "2", "real")
	run("no answer would be left in it", "session", "rewind", "real")
	run(`["echo:one","dump"]`, "send", "real", "dump")
}
