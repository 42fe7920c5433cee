package notify

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iris/config"
	"iris/ipc"
)

// longEnough is for what should come by itself, however busy the machine is.
const longEnough = time.Minute

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(longEnough); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// The standard input is the event as "iris events --json" prints it, and the environment
// has its parts.
func TestCommandGetsTheEvent(t *testing.T) {
	path, dir := script(t, `cat > stdin; echo "$1|$IRIS_NOTIFY|$IRIS_TEAM|$IRIS_SESSION|$IRIS_MESSAGE|$IRIS_APPROVAL|$IRIS_DETAIL|$IRIS_SOCKET" > facts.new; mv facts.new facts`)
	h := newHouse(t, config.Settings{Notify: []string{path, "an argument"}, NotifyOn: []string{"approval"}}, nil)
	defer h.Close()
	e := ipc.Event{Seq: 7, Time: time.Now().UTC(), Type: "approval-asked", Team: "api", Session: "s", Process: "p", PID: 5, Message: "m", Detail: "k7qm2: Bash<&>"}
	h.Take(e)
	facts := ""
	eventually(t, "command", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "facts"))
		facts = string(b)
		return facts != ""
	})
	if want := "an argument|approval|api|s|m|k7qm2|k7qm2: Bash<&>|/s\n"; facts != want {
		t.Errorf("got %q, want %q", facts, want)
	}
	stdin, err := os.ReadFile(filepath.Join(dir, "stdin"))
	var got ipc.Event
	if err != nil || json.Unmarshal(stdin, &got) != nil || got != e || !strings.HasSuffix(string(stdin), "\"detail\":\"k7qm2: Bash<&>\"}\n") {
		t.Errorf("got %s, %v", stdin, err)
	}
}

// The end of the standard error of a command that fails is in the log, and its last line in
// the warnings, until a command does not fail.
func TestFailureIsReported(t *testing.T) {
	path, _ := script(t, "test -e ok && exit 0; touch ok; head -c 10000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo cause >&2; exit 3")
	h := newHouse(t, onDone(path), nil)
	defer h.Close()
	h.Take(done(1))
	eventually(t, "warning", func() bool { return len(h.Warnings()) > 0 })
	if w, want := h.Warnings()[0], fmt.Sprintf("team api: notify failed for event 1 (message-ended): %s: exit status 3: cause", path); w != want {
		t.Errorf("got %q, want %q", w, want)
	}
	if log := h.logged(); !strings.Contains(log, "xxx\\ncause") || len(log) > 2000 {
		t.Errorf("log %q", log)
	}
	h.Take(done(2))
	eventually(t, "end of the warning", func() bool { return len(h.Warnings()) == 0 })
}

func TestMissingProgramIsReported(t *testing.T) {
	h := newHouse(t, onDone("no-such-program"), nil)
	defer h.Close()
	h.Take(done(1))
	eventually(t, "warning", func() bool {
		return strings.Contains(strings.Join(h.Warnings(), ""), `program "no-such-program" is not on`)
	})
}

// hangs takes an event whose command hangs, with a child, and returns their pids.
func (h *house) hangs(t *testing.T, dir string) []string {
	t.Helper()
	h.Take(done(1))
	var pids []string
	eventually(t, "command", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "pids"))
		pids = strings.Fields(string(b))
		return len(pids) == 2
	})
	return pids
}

const hanging = `trap "" TERM; sleep 600 & echo $$ $! > pids.new; mv pids.new pids; wait`

func wantGone(t *testing.T, pids []string) {
	t.Helper()
	for _, pid := range pids {
		eventually(t, "end of "+pid, func() bool {
			cmdline, err := os.ReadFile("/proc/" + pid + "/cmdline")
			return err != nil || len(cmdline) == 0
		})
	}
}

func TestCommandThatHangsIsKilledWithItsProcesses(t *testing.T) {
	path, dir := script(t, hanging)
	h := newHouse(t, onDone(path), nil)
	defer h.Close()
	h.maxTime = 3 * time.Second
	pids := h.hangs(t, dir)
	eventually(t, "warning", func() bool { return strings.Contains(strings.Join(h.Warnings(), ""), "killed after 3s") })
	wantGone(t, pids)
}

// Close kills the commands, and does not run those of events that wait.
func TestCloseKillsCommands(t *testing.T) {
	path, dir := script(t, hanging)
	h := newHouse(t, onDone(path), nil)
	pids := h.hangs(t, dir)
	h.Pause()
	h.Take(done(2))
	h.Close()
	wantGone(t, pids)
	if log := h.logged(); !strings.Contains(log, "killed, since the daemon ends") || !strings.Contains(log, `message=m2 why="the daemon ends"`) {
		t.Errorf("log %s", log)
	}
}

// What a command leaves running goes on, and is no failure, though it holds the output.
func TestWhatACommandLeavesRunningGoesOn(t *testing.T) {
	path, dir := script(t, "(while test ! -e go; do sleep 0.05; done; echo > went) &")
	h := newHouse(t, onDone(path), nil)
	h.Take(done(1))
	eventually(t, "end of the command", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.running == 0
	})
	if w := h.Warnings(); len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
	h.Close()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of its child", func() bool { _, err := os.Stat(filepath.Join(dir, "went")); return err == nil })
}
