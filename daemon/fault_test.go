package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/ipc"
)

func ask(d *testDaemon, team, msg string) (ipc.Reply, error) {
	d.t.Helper()
	return call[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: team, Text: msg})
}

func TestAgentKilledFromOutsideIsKnownWithinASecond(t *testing.T) {
	ledger := filepath.Join(t.TempDir(), "ledger")
	d := startDaemon(t, fakeTeam(t, "api", fmt.Sprintf("args = [%q]", "--fake-ledger="+ledger)))
	if _, err := ask(d, "api", "echo:before"); err != nil {
		t.Fatal(err)
	}
	pid := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes[0].PID
	c := d.client()
	var wg sync.WaitGroup
	var err error
	wg.Go(func() {
		err = c.Call(context.Background(), ipc.MethodSend, ipc.Send{Team: "api", Text: "hang:deaf"}, nil)
	})
	// Killed before it has the message, another agent would get it.
	eventually(t, "the agent's note of the message", func() bool {
		book, _ := os.ReadFile(ledger)
		return strings.Contains(string(book), "hang:deaf")
	})
	syscall.Kill(pid, syscall.SIGKILL)
	begin := time.Now()
	wg.Wait()
	wantCode(t, err, ipc.CodeUnknown, "api", "killed")
	if took := time.Since(begin); took > time.Second {
		t.Errorf("it took %v", took)
	}
	r, err := ask(d, "api", "dump")
	if err != nil || !strings.Contains(text(t, r), "echo:before") {
		t.Errorf("the conversation is lost: %v %s", err, r.Text)
	}
}

func TestOutcomesOfTheAgentReachTheClient(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api")+fakeTeam(t, "lax", "denied_ok = true"))
	for _, c := range []struct{ team, msg, outcome string }{
		{"api", "echo:x", "success"},
		{"api", "fail:denied", "denied"},
		{"lax", "fail:denied", "success"},
		{"api", "fail:login", "not-logged-in"},
		{"api", "fail:turns", "limit"},
		{"api", "fail:429", "rate-limited"},
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
	d := startDaemon(t, fakeTeam(t, "api", fmt.Sprintf("args = [%q]", "--fake-broken="+broken)))
	_, err := ask(d, "api", "echo:x")
	wantCode(t, err, ipc.CodeCannotRun, "api")
	st := mustCall[ipc.Status](d, ipc.MethodStatus, struct{}{})
	if len(st.Broken) != 1 || st.Broken[0].Team != "api" || st.Broken[0].Failures < 3 {
		t.Errorf("status says %+v, want the broken team", st.Broken)
	}
	begin := time.Now()
	if _, err = ask(d, "api", "echo:x"); err == nil || time.Since(begin) > time.Second {
		t.Errorf("an open breaker: got %v after %v, want a refusal at once", err, time.Since(begin))
	}
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
				if err != nil || text(t, r) != want {
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
	for msg, want := range map[string]string{"umask": "027", "nice": "0"} {
		r, err := ask(d, "api", msg)
		if got := strings.Join(strings.Fields(text(t, r)), ""); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: got %s, %v, want %s", msg, got, err, want)
		}
	}
	r, err := ask(d, "api", "env")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"CLAUDECODE=", "\"CLAUDECODE\"", "LISTEN_FDS"} {
		if strings.Contains(text(t, r), name) {
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
