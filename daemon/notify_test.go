package daemon

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"iris/ipc"
	"iris/pool"
)

// notifier writes a script for notify and returns the key.
func notifier(t *testing.T, script string) (key, dir string) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "notify")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd \"$(dirname \"$0\")\"\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("notify = [%q]", path), dir
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

// The command gets the event as clients do, once, and the environment in which a person
// would run iris.
func TestNotifyCommandGetsTheEventOfAnApproval(t *testing.T) {
	key, dir := notifier(t, `cat > stdin; echo "$IRIS_NOTIFY|$IRIS_APPROVAL|$IRIS_PROCESS|$IRIS_SOCKET|$HOME" >> facts`)
	d := asking(t, key)
	a := pendingIn(d)
	var facts []byte
	eventually(t, "the command", func() bool {
		facts, _ = os.ReadFile(filepath.Join(dir, "facts"))
		return len(facts) > 0
	})
	want := strings.Join([]string{"approval", a.ID, "", d.paths.Socket, d.paths.Home}, "|") + "\n"
	if string(facts) != want {
		t.Errorf("got %q\nwant %q", facts, want)
	}
	var got ipc.Event
	stdin, _ := os.ReadFile(filepath.Join(dir, "stdin"))
	asked := mustCall[ipc.EventList](d, ipc.MethodEvents, ipc.EventQuery{Types: []string{"approval-asked"}}).Events
	if err := json.Unmarshal(stdin, &got); err != nil || len(asked) != 1 || got != asked[0] {
		t.Errorf("stdin %q, want %+v", stdin, asked)
	}
	allow(d, a) // done is not among the words by default
	if again, _ := os.ReadFile(filepath.Join(dir, "facts")); string(again) != want {
		t.Errorf("it ran again: %q", again)
	}
	if w := warnings(d); w != "" {
		t.Errorf("warnings %q", w)
	}
}

func TestNotifyCommandThatIsNotThereIsReported(t *testing.T) {
	d := asking(t, `notify = ["no-such-program"]`)
	a := pendingIn(d)
	eventually(t, "a warning", func() bool { return strings.Contains(warnings(d), `program "no-such-program"`) })
	allow(d, a)
	d.configure(fakeTeam(t, "api", `approvals = "ask"`))
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	if w := warnings(d); w != "" {
		t.Errorf("it is fixed, and the warning stays: %s", w)
	}
}

// A stallingLog writes to nowhere, and waits after the first event.
type stallingLog struct {
	stalled, goOn chan struct{}
	first         sync.Once
}

func (l *stallingLog) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "process-spawned") {
		l.first.Do(func() {
			close(l.stalled)
			<-l.goOn
		})
	}
	return len(p), nil
}

// When events come faster than they are logged, some are passed over, and later ones are
// logged and notified of again.
func TestEventsGoOnAfterAFlood(t *testing.T) {
	key, dir := notifier(t, `echo "$IRIS_MESSAGE" > told.new; mv told.new told`)
	t.Setenv("JOURNAL_STREAM", "1") // the log is stderr
	log := &stallingLog{stalled: make(chan struct{}), goOn: make(chan struct{})}
	_, dm, d := startInsideTo(t, key+"\nnotify_on = [\"done\"]\n", log)
	mustCall[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "echo", Text: "a"})
	<-log.stalled
	for range 2000 {
		dm.pool.Reconfigure(pool.Limits{MaxProcesses: 2})
	}
	close(log.goOn)
	last := submit(d, ipc.Send{Team: "echo", Text: "b"}).ID
	eventually(t, "the command", func() bool {
		told, _ := os.ReadFile(filepath.Join(dir, "told"))
		return string(told) == last+"\n"
	})
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
