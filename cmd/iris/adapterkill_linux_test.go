package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/pool/adapter/adaptertest"
	"iris/pool/adapter/modeltest"
)

// adaptedHouse is a house with a team "api" whose program is that one, with more keys.
func adaptedHouse(t testing.TB, iris, name string, more ...string) (*house, *modeltest.Real) {
	t.Helper()
	modeltest.Program(t, name)
	h := newHouse(t, iris, "")
	real := modeltest.NewReal(t, name, h.dir)
	env := ""
	for _, v := range real.Env {
		name, value, _ := strings.Cut(v, "=")
		env += fmt.Sprintf("env.%s = %q\n", name, value)
	}
	h.configure(fmt.Sprintf("[teams.api]\ndir = %q\nagent = %q\ncommand = %s\nstart_timeout = \"5m\"\napprovals = \"ask\"\n%s",
		h.mkdir("project"), real.Agent, strings.ReplaceAll(fmt.Sprintf("%q", real.Command), `" "`, `", "`), env+strings.Join(more, "\n")))
	return h, real
}

// TestRealTurnsBehindAnAdapterOutliveTheirDaemon kills the daemon in the middle of a turn
// and of a tool, by turns. IRIS_REAL_KILLS says how often.
func TestRealTurnsBehindAnAdapterOutliveTheirDaemon(t *testing.T) {
	kills := int(environNumber(t, "IRIS_REAL_KILLS", 4))
	seed := environNumber(t, "IRIS_REAL_SEED", uint64(time.Now().UnixNano()))
	for _, name := range []string{"opencode", "codex"} {
		t.Run(name, func(t *testing.T) {
			h, real := adaptedHouse(t, "iris", name)
			t.Logf("IRIS_REAL_SEED=%d", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			h.run("send", "api", "hello")
			for n := range kills {
				text, want, last := fmt.Sprintf("slow:20:50ms:%d", n), "d0 d1 ", "d19"
				if n%2 == 1 {
					text, want, last = fmt.Sprintf("tool:sleep 1; echo done %d", n), "tool said: ", fmt.Sprintf("done %d", n)
				}
				id := strings.TrimSpace(h.run("send", "--detach", "api", text))
				h.until("the model was asked "+text, func() bool { return real.Turns(text) > 0 })
				if n%2 == 1 {
					h.allow(id)
				}
				time.Sleep(time.Duration(rng.Int64N(int64(800 * time.Millisecond))))
				syscall.Kill(h.daemon(), syscall.SIGKILL)
				if got := h.run("wait", id); !strings.HasPrefix(got, want) || !strings.Contains(got, last) || real.Turns(text) != 1 {
					t.Errorf("kill %d: got %q, the model was asked %d times", n, got, real.Turns(text))
				}
			}
			if got := h.run("send", "api", "after"); strings.TrimSpace(got) != "ok: after" {
				t.Errorf("got %q", got)
			}
			t.Logf("%d kills of the daemon, every turn was finished and ran once", kills)
		})
	}
}

// The adapter finishes a turn whose daemon is killed, which its program would not do.
func TestTurnBehindAnAdapterOutlivesItsDaemon(t *testing.T) {
	h := newHouse(t, "iris", "")
	h.configure(fmt.Sprintf("[teams.api]\ndir = %q\nagent = \"acp\"\ncommand = %s\n",
		h.mkdir("project"), strings.ReplaceAll(fmt.Sprintf("%q", adaptertest.Command()), `" "`, `", "`)))
	h.run("send", "api", "hello")
	for range 3 {
		id := strings.TrimSpace(h.run("send", "--detach", "api", "part one, \nsleep:1s\npart two"))
		h.until("the turn", func() bool { return strings.Contains(h.run("show", id), "running") })
		syscall.Kill(h.daemon(), syscall.SIGKILL)
		if got := strings.TrimSpace(h.run("wait", id)); got != "part one,part two" {
			t.Errorf("got %q", got)
		}
	}
	said, _ := filepath.Glob(h.mkdir("project") + "/fake_*")
	if len(said) != 1 {
		t.Fatalf("got the conversations %v, want one", said)
	}
	data, _ := os.ReadFile(said[0])
	if n := strings.Count(string(data), "\n"); n != 4 {
		t.Errorf("the program got %d messages, want 4", n)
	}
}

// until waits for something.
func (h *house) until(what string, is func() bool) {
	h.b.Helper()
	for end := time.Now().Add(5 * longEnough); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.b.Fatalf("waited in vain: %s", what)
		}
	}
}

// allow allows the tool call of a message.
func (h *house) allow(message string) {
	h.b.Helper()
	id := ""
	h.until("a request for permission", func() bool {
		for _, line := range strings.Split(h.run("approvals", "--json"), "\n") {
			if strings.Contains(line, message) {
				_, rest, _ := strings.Cut(line, `"id":"`)
				id, _, _ = strings.Cut(rest, `"`)
			}
		}
		return id != ""
	})
	h.run("approve", id)
}
