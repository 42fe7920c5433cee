package daemon

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iris/ipc"
)

// notifier writes a script for approval_notify and returns the key.
func notifier(t *testing.T, script string) (key, dir string) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "notify")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd \"$(dirname \"$0\")\"\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("approval_notify = [%q, %q]", path, "an argument"), dir
}

// pendingIn begins a turn that waits for an approval.
func pendingIn(d *testDaemon) ipc.Approval {
	d.t.Helper()
	return awaitApproval(d, submit(d, ipc.Send{Team: "api", Session: "s", Text: `ask:Bash:{"command":"x y"}`}).ID)
}

func allow(d *testDaemon, a ipc.Approval) {
	d.t.Helper()
	mustCall[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: a.ID, Allow: true})
	if r := replyTo(d, a.Message); r.Outcome != "success" {
		d.t.Errorf("got %+v", r)
	}
}

func warnings(d *testDaemon) string {
	d.t.Helper()
	return strings.Join(mustCall[ipc.Status](d, ipc.MethodStatus, nil).Warnings, "|")
}

func TestNotifyCommandIsRunOnce(t *testing.T) {
	key, dir := notifier(t, `cat > stdin; echo "$1|$IRIS_APPROVAL|$IRIS_TEAM|$IRIS_SESSION|$IRIS_MESSAGE|$IRIS_TOOL|$IRIS_SOCKET|$HOME" >> facts`)
	d := asking(t, key)
	a := pendingIn(d)
	var facts []byte
	eventually(t, "the command", func() bool {
		facts, _ = os.ReadFile(filepath.Join(dir, "facts"))
		return len(facts) > 0
	})
	want := strings.Join([]string{"an argument", a.ID, "api", "s", a.Message, "Bash", d.paths.Socket, d.paths.Home}, "|") + "\n"
	if string(facts) != want {
		t.Errorf("got %q\nwant %q", facts, want)
	}
	var got ipc.Approval
	stdin, _ := os.ReadFile(filepath.Join(dir, "stdin"))
	if err := json.Unmarshal(stdin, &got); err != nil || got.ID != a.ID || string(got.Input) != `{"command":"x y"}` || got.Deadline == nil {
		t.Errorf("stdin %q: %v", stdin, err)
	}
	allow(d, a)
	if again, _ := os.ReadFile(filepath.Join(dir, "facts")); string(again) != want {
		t.Errorf("it ran again: %q", again)
	}
	if w := warnings(d); w != "" {
		t.Errorf("warnings %q", w)
	}
}

func TestNotifyCommandThatFailsIsReported(t *testing.T) {
	key, _ := notifier(t, "test -e ok && exit 0; touch ok; head -c 10000000 /dev/zero | tr '\\0' x >&2; exit 3")
	d := asking(t, key)
	a := pendingIn(d)
	eventually(t, "a warning", func() bool {
		w := warnings(d)
		return strings.Contains(w, "exit status 3: xxx") && strings.Contains(w, "team api: approval_notify failed for "+a.ID) && len(w) < 1000
	})
	allow(d, a)
	a = pendingIn(d) // and this time it does not fail
	eventually(t, "no warning", func() bool { return warnings(d) == "" })
	allow(d, a)
}

func TestNotifyCommandThatIsNotThereIsReported(t *testing.T) {
	d := asking(t, `approval_notify = ["no-such-program"]`)
	a := pendingIn(d)
	eventually(t, "a warning", func() bool { return strings.Contains(warnings(d), `program "no-such-program"`) })
	allow(d, a)
	d.configure(fakeTeam(t, "api", `approvals = "ask"`))
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	if w := warnings(d); w != "" {
		t.Errorf("it is fixed, and the warning stays: %s", w)
	}
}

// A notify command that hangs delays neither the turn nor the end of the daemon. It is ended
// with all processes that it has started.
func TestNotifyCommandThatHangsHoldsNothingUp(t *testing.T) {
	key, dir := notifier(t, `trap "" TERM; sleep 600 & echo $$ $! > pids; wait`)
	d := asking(t, key)
	a := pendingIn(d)
	var pids []string
	eventually(t, "the command", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "pids"))
		pids = strings.Fields(string(b))
		return len(pids) == 2
	})
	allow(d, a)
	within(t, "the end", d.stop)
	for _, pid := range pids {
		eventually(t, "the end of "+pid, func() bool {
			cmdline, err := os.ReadFile("/proc/" + pid + "/cmdline")
			return err != nil || len(cmdline) == 0
		})
	}
	d.run()
}
