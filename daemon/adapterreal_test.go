package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iris/ipc"
	"iris/pool/adapter/modeltest"
)

// adapted is a daemon with a team whose program is a real one.
type adapted struct {
	*testDaemon
	real *modeltest.Real
	dir  string
}

func startAdapted(t *testing.T, name string, more ...string) *adapted {
	t.Helper()
	real := modeltest.NewReal(t, name, t.TempDir())
	a := &adapted{real: real, dir: t.TempDir()}
	var vars []string
	for _, v := range real.Env {
		name, value, _ := strings.Cut(v, "=")
		vars = append(vars, fmt.Sprintf("%s = %q", name, value))
	}
	a.testDaemon = startDaemon(t, fmt.Sprintf("[teams.api]\ndir = %q\nagent = %q\ncommand = %s\nstart_timeout = \"5m\"\nenv = { %s }\n%s\n",
		a.dir, real.Agent, strings.ReplaceAll(fmt.Sprintf("%q", real.Command), `" "`, `", "`), strings.Join(vars, ", "), strings.Join(more, "\n")))
	return a
}

// ask sends a message and waits for its end, with the patience that these programs need.
func (a *adapted) ask(text string) ipc.Reply {
	a.t.Helper()
	m := submit(a.testDaemon, ipc.Send{Team: "api", Text: text})
	a.end(m.ID)
	r, err := call[ipc.Reply](a.testDaemon, ipc.MethodResult, ipc.MessageRef{ID: m.ID})
	if err != nil {
		a.t.Errorf("%s: %v", text, err)
	}
	return r
}

func (a *adapted) end(id string) {
	a.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		switch s := show(a.testDaemon, id); {
		case s.State != "queued" && s.State != "running":
			return
		case time.Now().After(deadline):
			a.t.Fatalf("message %s is %s", id, s.State)
		}
	}
}

// awaitTurn waits until the model was asked.
func (a *adapted) awaitTurn(text string, n int) {
	a.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); a.real.Turns(text) < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			a.t.Fatalf("the model was not asked %q", text)
		}
	}
}

var adaptedPrograms = []string{"opencode", "codex"}

func TestRealProgramBehindAnAdapter(t *testing.T) {
	for _, name := range adaptedPrograms {
		t.Run(name, func(t *testing.T) {
			a := startAdapted(t, name)
			if r := a.ask("hello"); r.Outcome != "success" || r.Text != "ok: hello" || r.Usage.Input != 10 || (r.CostUSD > 0) != (name == "opencode") {
				t.Errorf("got %+v", r)
			}
			for _, c := range []struct{ say, outcome string }{
				{"status:400", "api-error"}, {"status:401", "not-logged-in"}, {"tool:touch denied", "denied"}, {"again", "success"},
			} {
				if r := a.ask(c.say); r.Outcome != c.outcome {
					t.Errorf("%s: got %s, %q, %q", c.say, r.Outcome, r.Error, r.Text)
				}
			}
			if _, err := os.Stat(filepath.Join(a.dir, "denied")); err == nil {
				t.Error("a denied tool has run")
			}
			mustCall[ipc.Stopped](a.testDaemon, ipc.MethodEvict, ipc.Target{Team: "api"})
			if r := a.ask("resumed"); r.Text != "ok: resumed" || r.Notice != "" {
				t.Errorf("got %+v", r)
			}
			a.cancelled("slow:1000:50ms")
			a.cancelled("hang")
			if r := a.ask("after"); r.Text != "ok: after" {
				t.Errorf("got %+v", r)
			}
		})
	}
}

// cancelled cancels a message while the model answers it.
func (a *adapted) cancelled(text string) {
	a.t.Helper()
	m := submit(a.testDaemon, ipc.Send{Team: "api", Text: text})
	a.awaitTurn(text, 1)
	mustCall[ipc.MessageState](a.testDaemon, ipc.MethodCancel, ipc.MessageID{ID: m.ID})
	if a.end(m.ID); show(a.testDaemon, m.ID).State != "cancelled" {
		a.t.Errorf("%s: got %s", text, show(a.testDaemon, m.ID).State)
	}
}

func TestRealProgramReportsAUsedUpQuota(t *testing.T) {
	a := startAdapted(t, "codex", `on_limit = "fail"`)
	for _, say := range []string{"quota", "status:429"} {
		if r := a.ask(say); r.Outcome != "rate-limited" {
			t.Errorf("%s: got %+v", say, r)
		}
	}
}

func TestRealProgramAsksForPermission(t *testing.T) {
	for _, name := range adaptedPrograms {
		t.Run(name, func(t *testing.T) {
			a := startAdapted(t, name, `approvals = "ask"`)
			m := submit(a.testDaemon, ipc.Send{Team: "api", Text: "tool:touch allowed"})
			a.awaitTurn("tool:touch allowed", 1)
			q := awaitApproval(a.testDaemon, m.ID)
			if !strings.Contains(string(q.Input), "touch allowed") {
				t.Errorf("got %+v", q)
			}
			mustCall[ipc.Approval](a.testDaemon, ipc.MethodDecide, ipc.Decide{ID: q.ID, Allow: true})
			r := replyTo(a.testDaemon, m.ID)
			if _, err := os.Stat(filepath.Join(a.dir, "allowed")); err != nil || r.Outcome != "success" || !strings.HasPrefix(r.Text, "tool said: ") {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}
