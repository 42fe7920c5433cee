package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

func ask(d *testDaemon, team, msg string) (ipc.Reply, error) {
	d.t.Helper()
	return call[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: team, Text: msg})
}

// No health check runs here: only the end of the process shows the failure.
func TestAgentKilledFromOutsideIsKnownByItsEnd(t *testing.T) {
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, "health_check_interval = \"1h\"\nstall_timeout = 0\n"+toml)
	if _, err := ask(d, "api", "echo:before"); err != nil {
		t.Fatal(err)
	}
	pid := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes[0].PID
	c := d.client()
	var wg sync.WaitGroup
	var err error
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	wg.Go(func() { err = c.Call(ctx, ipc.MethodSend, ipc.Send{Team: "api", Text: "hang:deaf"}, nil) })
	// If it is killed before it has the message, another agent gets the message.
	eventually(t, "the agent's note of the message", func() bool { return slices.Contains(begun(t, ledger), "hang:deaf") })
	syscall.Kill(pid, syscall.SIGKILL)
	wg.Wait()
	wantCode(t, err, ipc.CodeUnknown, "api", "killed")
	r, err := ask(d, "api", "dump")
	if err != nil || !strings.Contains(r.Text, "echo:before") {
		t.Errorf("the conversation is lost: %v %s", err, r.Text)
	}
}

func TestOutcomesOfTheAgentReachTheClient(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api")+fakeTeam(t, "lax", "denied_ok = true")+fakeTeam(t, "limited", `account = "limited"`, `on_limit = "fail"`))
	for _, c := range []struct{ team, msg, outcome string }{
		{"api", "echo:x", "success"},
		{"api", "fail:denied", "denied"},
		{"lax", "fail:denied", "success"},
		{"api", "fail:login", "not-logged-in"},
		{"api", "fail:turns", "limit"},
		{"limited", "fail:429", "rate-limited"},
		{"api", "fail:500", "api-error"},
		{"api", "phantom", "success"},
	} {
		r, err := ask(d, c.team, c.msg)
		if err != nil || r.Outcome != c.outcome {
			t.Errorf("%s %s: got %q, %v, want %q", c.team, c.msg, r.Outcome, err, c.outcome)
		}
		if (r.Error == "") != (c.outcome == "success") && c.team != "lax" {
			t.Errorf("%s: got error %q", c.msg, r.Error)
		}
	}
}

func TestHintNamesTheKeyThatTheCallerHas(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	r := mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "fail:login", EnvKeys: []string{"ANTHROPIC_API_KEY"}})
	if !strings.Contains(r.Hint, "your shell has ANTHROPIC_API_KEY") {
		t.Errorf("got hint %q", r.Hint)
	}
}

func TestAgentThatWillNotStartIsGivenUpAndSaidSo(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ledger := filepath.Join(dir, "ledger")
	d := startDaemon(t, fakeTeam(t, "api", fmt.Sprintf("args = [%q, %q]", "--fake-broken="+broken, "--fake-ledger="+ledger)))
	_, err := ask(d, "api", "echo:x")
	wantCode(t, err, ipc.CodeCannotRun, "api")
	for tested := false; !tested; {
		asked := time.Now()
		st := mustCall[ipc.Status](d, ipc.MethodStatus, struct{}{})
		if len(st.Broken) != 1 || st.Broken[0].Team != "api" || st.Broken[0].Failures < 3 {
			t.Fatalf("status says %+v, want the broken team", st.Broken)
		}
		before := starts(t, ledger)
		if _, err = ask(d, "api", "echo:x"); err == nil {
			t.Error("an open breaker: the message was answered")
		}
		// After this wait the breaker allows one more start.
		tested = time.Since(asked) < time.Duration(st.Broken[0].Retry)*time.Millisecond
		if now := starts(t, ledger); tested && now != before {
			t.Errorf("an open breaker: started %d times, want a refusal at once", now-before)
		}
	}
}

// starts counts the starts of agents.
func starts(t *testing.T, ledger string) (n int) {
	t.Helper()
	entries, err := claudetest.ReadLedger(ledger)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Kind == "S" {
			n++
		}
	}
	return n
}

func TestBoundIsHeldByTheAgentsOwnCount(t *testing.T) {
	ledger := filepath.Join(t.TempDir(), "ledger")
	var toml strings.Builder
	toml.WriteString("max_processes = 2\n")
	for i := range 6 {
		toml.WriteString(fakeTeam(t, "t"+strconv.Itoa(i), fmt.Sprintf("args = [%q, \"--fake-max=2\", \"--fake-latency=20ms\"]", "--fake-ledger="+ledger)))
	}
	d := startDaemon(t, toml.String())
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for j := range 3 {
				want := fmt.Sprintf("%d-%d", i, j)
				r, err := ask(d, "t"+strconv.Itoa(i), "echo:"+want)
				if err != nil || r.Text != want {
					t.Errorf("got %s, %v, want %s", r.Text, err, want)
				}
			}
		})
	}
	wg.Wait()
	book, err := os.ReadFile(ledger)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(book), "VIOLATION") || strings.Count(string(book), "\n") < 6 {
		t.Errorf("the agents' ledger:\n%s", book)
	}
}

func TestInheritedByAgents(t *testing.T) {
	d := startDaemon(t, "umask = \"027\"\n"+fakeTeam(t, "api"))
	r, err := ask(d, "api", "umask")
	if err != nil || !strings.Contains(r.Text, "027") {
		t.Errorf("umask: got %s, %v", r.Text, err)
	}
	r, err = ask(d, "api", "env")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"CLAUDECODE=", "\"CLAUDECODE\"", "LISTEN_FDS"} {
		if strings.Contains(r.Text, name) {
			t.Errorf("the agent has %s", name)
		}
	}
}

func TestEvictedAgentLeavesNoFiles(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api"))
	if _, err := ask(d, "api", "echo:x"); err != nil {
		t.Fatal(err)
	}
	mustCall[ipc.Stopped](d, ipc.MethodEvict, ipc.Target{Team: "api"})
	files, err := filepath.Glob(d.paths.Spool + "/*.*")
	if err != nil || len(files) > 0 {
		t.Errorf("left in the spool: %q, %v", files, err)
	}
}

// If the API refuses two turns in a row for the same reason, the conversation itself may be
// the cause.
func TestMessageRefusedAgainNamesTheReset(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api")+fakeTeam(t, "web"))
	for _, c := range []struct {
		team, msg string
		hint      bool
	}{
		{"api", "fail:400", false},
		{"web", "fail:400", false}, // another conversation
		{"api", "fail:400", true},
		{"api", "fail:413", false}, // another reason
		{"api", "echo:x", false},
		{"api", "fail:413", false},
		{"api", "fail:500", false}, // time fixes it
		{"api", "fail:500", false},
		{"web", "fail:400", true},
	} {
		r, err := ask(d, c.team, c.msg)
		if named := strings.Contains(r.Hint, "iris session reset "+c.team); err != nil || named != c.hint || (r.Reason == "refused-again") != c.hint {
			t.Errorf("%s %s: reason %q, hint %q, %v", c.team, c.msg, r.Reason, r.Hint, err)
		}
		if again := mustCall[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{ID: r.ID}); again.Hint != r.Hint {
			t.Errorf("%s %s: later hint %q", c.team, c.msg, again.Hint)
		}
	}
}
