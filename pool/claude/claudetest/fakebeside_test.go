package claudetest

import (
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// bothStyles runs a test of the fake in each of its styles.
func bothStyles(t *testing.T, test func(t *testing.T, old bool, style []string)) {
	t.Run("new", func(t *testing.T) { test(t, false, nil) })
	t.Run("old", func(t *testing.T) { test(t, true, []string{"--fake-old"}) })
}

func TestFakeWaitsForASubagentAfterItsInput(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	a := startFake(t).ready()
	if got := a.ask("subagent:@" + gate + ":found"); got.Result != "launched" || got.Origin != nil {
		t.Errorf("got %s", got.raw)
	}
	if got := a.ask("echo:meanwhile"); got.Result != "meanwhile" {
		t.Errorf("a message meanwhile: got %s", got.raw)
	}
	a.stdin.Close()
	touch(t, gate)
	if got := a.result(); got.Result != "found" || got.Origin == nil || got.Origin.Kind != "task-notification" {
		t.Errorf("got %s", got.raw)
	}
	if l := a.until("a state", func(l line) bool { return l.State == "idle" || l.State == "running" }); l.State != "idle" {
		t.Errorf("got %s", l.raw)
	}
	if code := a.exit(); code != 0 {
		t.Errorf("got exit status %d, want 0", code)
	}
}

func TestFakeIsBusyWhileASubagentWorks(t *testing.T) {
	a := startFake(t).ready()
	a.ask("subagent:1h:found")
	a.ask("echo:x")
	for _, l := range a.seen {
		if l.State == "idle" {
			t.Errorf("idle while a subagent works: %s", l.raw)
		}
	}
	a.control("i", `{"subtype":"interrupt"}`)
	a.until("idle", func(l line) bool { return l.State == "idle" })
	if code := a.eof(); code != 0 {
		t.Errorf("got exit status %d, want 0", code)
	}
}

func TestOldFakeWaitsForASubagentInItsTurn(t *testing.T) {
	a := startFake(t, "--fake-old").ready()
	if got := a.ask("subagent:1ms:found"); got.Result != "found" {
		t.Errorf("got %s", got.raw)
	}
	a.ask("background:for ever")
	if code := a.eof(); code != 0 {
		t.Errorf("with something in the background: got exit status %d, want 0", code)
	}
}

func TestFakeBeginsTurnsByASchedule(t *testing.T) {
	bothStyles(t, func(t *testing.T, old bool, style []string) {
		a := startFake(t, style...).ready()
		a.ask("cron:1ms:of its own")
		before := len(a.seen)
		if got := a.result(); got.Result != "of its own" || got.Origin != nil || strings.Contains(got.raw, "user_message_uuid") {
			t.Errorf("got %s", got.raw)
		}
		woken := false
		for _, l := range a.seen[before:] {
			woken = woken || strings.Contains(l.raw, `"wakeup_source":"schedule_wakeup"`)
		}
		if woken == old {
			t.Errorf("wakeup_source: got %v", woken)
		}
	})
}

func TestFakeEndsTurnsWithoutAnAnswer(t *testing.T) {
	bothStyles(t, func(t *testing.T, old bool, style []string) {
		a := startFake(t, style...).ready()
		for _, c := range []struct {
			text, result, terminal string
			turns                  int
			local                  string
		}{
			{"hookblock:no", "UserPromptSubmit operation blocked by hook:\nno\n\nOriginal prompt: hookblock:no", "", 0, ""},
			{"empty:spoken", "", "completed", 1, ""},
			{"defer:Bash", "", "tool_deferred", 1, ""},
			{"/clear", "", "", 0, "clear"},
			{"/compact", "Not enough messages to compact.", "", 0, "compact"},
		} {
			got := a.ask(c.text)
			local := c.local != "" && !old
			if got.Result != c.result || got.Terminal != c.terminal || got.Turns != c.turns || got.IsError ||
				strings.Contains(got.raw, `"local_command":"`+c.local+`"`) != local {
				t.Errorf("%s: got %s", c.text, got.raw)
			}
		}
	})
}

func TestFakeGoesOnWithItsCosts(t *testing.T) {
	const id = "6f1cf4d2-6f4e-4f0b-9f63-1c3f3b6f0a14"
	one := FakeCost("echo:x", "x")
	bothStyles(t, func(t *testing.T, old bool, style []string) {
		// want checks what the result says of all costs.
		want := func(what string, got line, times float64) {
			t.Helper()
			if math.Abs(got.Cost-times*one) > 1e-9 {
				t.Errorf("%s: got cost %v, want %v times %v", what, got.Cost, times, one)
			}
		}
		resumed, cleared := 3.0, 1.0
		if old {
			resumed, cleared = 1, 2
		}
		a := startFake(t, append(style, "--session-id", id)...).ready()
		a.ask("echo:x")
		want("two messages", a.ask("echo:x"), 2)
		a.eof()
		b := a.again(append(style, "--resume", id)...).ready()
		want("resumed", b.ask("echo:x"), resumed)
		session := b.ask("/clear").SessionID
		got := b.ask("echo:x")
		want("after /clear", got, cleared)
		if got.SessionID != session || session == id {
			t.Errorf("after /clear: got session %s and %s", session, got.SessionID)
		}
		b.eof()
		if got := b.again(append(style, "--resume", session)...).ready().ask("count").Result; got != "2" {
			t.Errorf("the new session: got %s messages, want 2", got)
		}
	})
}

func TestFakeTakesItsToolsAlong(t *testing.T) {
	bothStyles(t, func(t *testing.T, old bool, style []string) {
		file := filepath.Join(t.TempDir(), "pid")
		a := startFake(t, style...).ready()
		a.user("run:echo $$ >" + file + ".new; mv " + file + ".new " + file + "; exec sleep 60")
		pid, err := strconv.Atoi(strings.TrimSpace(await(t, file)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
		a.cmd.Process.Signal(syscall.SIGTERM)
		if code := a.exit(); code != 143 {
			t.Errorf("got exit status %d, want 143", code)
		}
		if old && !alive(pid) {
			t.Error("the tool has died with the agent")
		}
		if !old {
			waitGone(t, pid)
		}
	})
}
