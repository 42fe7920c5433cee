package claude

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/pool"
	"iris/pool/claude/claudetest"
	"iris/pool/turn"
)

// part is what playDaemon is told: an agent to start and messages to send it.
type part struct {
	ID, Command, Dir, Spools, SessionID string
	Env, Args, Texts                    []string
	Word                                string // of the last turn; printed when a line contains it
	Ask                                 bool
}

// playDaemon starts an agent, sends a message, and reports on stdout where the last
// turn begins and that it is running.
func playDaemon() {
	var a part
	if err := json.Unmarshal([]byte(os.Getenv("IRIS_TEST_PART")), &a); err != nil {
		panic(err)
	}
	f := NewFollower()
	p, err := Start(context.Background(), Options{
		ID: a.ID, Team: "api", Command: a.Command, Dir: a.Dir, Env: a.Env, Args: a.Args, Spools: a.Spools,
		SessionID: a.SessionID, Transcript: true, StartTimeout: slow, Grace: time.Second, Follower: f,
		Ask: a.Ask, Callbacks: Callbacks{OnAsk: func(*Process, Request) {}, OnWithdrawn: func(*Process, string) {}},
	})
	if err != nil {
		panic(err)
	}
	for i, text := range a.Texts {
		last := i == len(a.Texts)-1
		p.WaitIdle(context.Background())
		if offset, _ := p.NextTurn(); last {
			fmt.Println("offset", offset)
		}
		under := sync.OnceFunc(func() { fmt.Println("under way") })
		sendSeen(context.Background(), p, &Message{Text: text}, func(line []byte) {
			if last && strings.Contains(string(line), a.Word) {
				under()
			}
		})
	}
	fmt.Println("over")
	select {}
}

// doomed is a daemon in another process, killed when its last turn was under
// way.
type doomed struct {
	offset int64
}

// kill runs a daemon until the word has come, and kills it.
func killDaemon(t *testing.T, r *rig, word string, texts ...string) doomed {
	t.Helper()
	a := part{ID: r.o.ID, Command: r.o.Command, Dir: r.o.Dir, Spools: r.o.Spools, SessionID: r.o.SessionID, Env: r.o.Env, Args: r.o.Args, Texts: texts, Word: word, Ask: r.o.Ask}
	told, _ := json.Marshal(a)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVar+"=daemon", "IRIS_TEST_PART="+string(told))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var d doomed
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		fmt.Sscanf(lines.Text(), "offset %d", &d.offset)
		if lines.Text() == "under way" || lines.Text() == "over" {
			return d
		}
	}
	t.Fatal("the daemon has not begun")
	return d
}

// A turn outlives its daemon: the agent finishes it when open is called, and the
// answer is found.
func outlive(t *testing.T, r *rig, text, want string, open func()) {
	d := killDaemon(t, r, `"running"`, "echo:one", text)
	left, err := Orphans(r.o.Spools)
	if err != nil || len(left) != 1 || left[0].Session != r.o.SessionID || left[0].Process != r.o.ID || left[0].PID == 0 {
		t.Fatalf("orphans: %+v, %v", left, err)
	}
	o := r.o
	o.ID = "p2"
	if _, err := Start(context.Background(), o); !errors.Is(err, pool.ErrBusy) {
		t.Errorf("start beside an orphan: %v", err)
	}
	if e, err := ReadOutcome(r.o.Spools, r.o.ID, d.offset, "", false); err != nil || e.Result != nil || e.NotBegun {
		t.Errorf("in mid-turn: %+v, %v", e, err)
	}
	open()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := left[0].Wait(ctx); err != nil || left[0].Alive() {
		t.Fatalf("wait: %v", err)
	}
	e, err := ReadOutcome(r.o.Spools, r.o.ID, d.offset, "", false)
	if err != nil || e.NotBegun || e.Result == nil || e.Result.Text != want || e.Result.Outcome != turn.Success {
		t.Fatalf("settled: %+v, %v", e, err)
	}
	if cost := e.Result.CostUSD; cost <= 0 || r.stub == nil && cost > 1.1*claudetest.FakeCost(text, want) {
		t.Errorf("cost: %v", cost)
	}
	if err := CleanSpools(r.o.Spools, func(p string) bool { return p == r.o.ID }); err != nil {
		t.Error(err)
	}
	if _, err := ReadOutcome(r.o.Spools, r.o.ID, d.offset, "", false); err != nil {
		t.Errorf("a spool that was to be kept: %v", err)
	}
	if err := CleanSpools(r.o.Spools, nil); err != nil {
		t.Error(err)
	}
	if _, err := ReadOutcome(r.o.Spools, r.o.ID, d.offset, "", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a spool that was cleaned: %v", err)
	}
	if got := send(t, r.again(), "dump").Text; !strings.Contains(got, "echo:one") || !strings.Contains(got, text[:8]) {
		t.Errorf("after resume: %s", got)
	}
}

func TestTurnOutlivesTheDaemon(t *testing.T) {
	path, open := gate(t)
	outlive(t, fakeRig(t), "slow:20:@"+path, claudetest.SlowText(20), open)
}

func TestRealTurnOutlivesTheDaemon(t *testing.T) {
	path, open := gate(t)
	outlive(t, realRig(t), "slow:20:@"+path, claudetest.SlowText(20), open)
}

func TestRealToolOutlivesTheDaemon(t *testing.T) {
	path, open := gate(t)
	outlive(t, realRig(t), fmt.Sprintf(`tool:Bash:{"command":"%s; echo done","description":"d"}`, untilOpen(path)), "tool said: done", open)
}

// A message that an agent was killed before reading was never begun.
func TestOutcomeNotBegun(t *testing.T) {
	r := fakeRig(t)
	d := killDaemon(t, r, "\x00never", "echo:one", "crash:read:1")
	e, err := ReadOutcome(r.o.Spools, r.o.ID, d.offset, "", false)
	if err != nil || !e.NotBegun || e.Result != nil {
		t.Errorf("got %+v, %v", e, err)
	}
	d = killDaemon(t, fakeAgain(t, r), "\x00never", "crash:before:1")
	if e, err = ReadOutcome(r.o.Spools, r.o.ID, d.offset, "", false); err != nil || e.NotBegun || e.Result != nil {
		t.Errorf("begun: got %+v, %v", e, err)
	}
}

func fakeAgain(t *testing.T, r *rig) *rig {
	t.Helper()
	eventually(t, "the agent is gone", func() bool {
		left, err := Orphans(r.o.Spools)
		return err == nil && len(left) == 0
	})
	r.o.ID += "x"
	return r
}

func TestOrphanStop(t *testing.T) {
	r := fakeRig(t, "--fake-deaf=term,eof")
	begun := time.Now().Add(-time.Second) // the clock of files is coarse
	killDaemon(t, r, `"running"`, "hang")
	left, err := Orphans(r.o.Spools)
	if err != nil || len(left) != 1 {
		t.Fatal(left, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := left[0].Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait: %v", err)
	}
	if at := left[0].Progress(); at.Before(begun) || at.After(time.Now()) {
		t.Errorf("last progress at %v, want it after %v", at, begun)
	}
	if err := left[0].Stop(100 * time.Millisecond); err != nil || left[0].Alive() {
		t.Errorf("stop: %v", err)
	}
}

// An agent whose daemon was killed before it recorded the process is found by its output,
// where processes can be looked at, and can be waited for anywhere.
func TestOrphanWithoutRecord(t *testing.T) {
	r := fakeRig(t)
	path, open := gate(t)
	killDaemon(t, r, `"running"`, "slow:20:@"+path)
	json := fmt.Sprintf("%s/%s.%s.json", r.o.Spools, r.o.SessionID, r.o.ID)
	if err := os.Remove(json); err != nil {
		t.Fatal(err)
	}
	left, err := Orphans(r.o.Spools)
	if err != nil || len(left) != 1 || (left[0].PID != 0) != (runtime.GOOS == "linux") {
		t.Fatal(left, err)
	}
	if left[0].PID == 0 {
		if err := left[0].Stop(time.Second); err == nil {
			t.Error("stopped a process without knowing it")
		}
		open()
	} else if err := left[0].Stop(time.Second); err != nil {
		t.Error(err)
	}
	if err := left[0].Wait(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestReadOutcome(t *testing.T) {
	const (
		answer  = `{"type":"control_response","response":{}}` + "\n"
		running = `{"type":"system","subtype":"session_state_changed","state":"running"}` + "\n"
		idle    = `{"type":"system","subtype":"session_state_changed","state":"idle"}` + "\n"
		mine    = `{"type":"result","subtype":"success","num_turns":1,"stop_reason":"end_turn","result":"mine","total_cost_usd":3}` + "\n"
		other   = `{"type":"result","subtype":"success","num_turns":1,"stop_reason":"end_turn","result":"other","origin":{"kind":"task-notification"},"total_cost_usd":2}` + "\n"
	)
	hole := strings.Repeat("\x00", 3*chunk)
	for _, c := range []struct {
		name, before, after string
		result              string
		cost                float64
		untouched           bool
	}{
		{"nothing", answer, "", "", 0, true},
		{"answers only", answer + running + mine + idle, answer + answer, "", 0, true},
		{"given back", hole + idle, "", "", 0, true},
		{"begun", answer, running, "", 0, false},
		{"half a line", answer, `{"type":"sys`, "", 0, false},
		{"not idle before", answer + running, "", "", 0, false},
		{"late idle line", answer + running + mine, answer + idle + answer, "", 0, true},
		{"late idle line, then begun", answer + running + mine, idle + running, "", 0, false},
		{"idle twice", answer + running + mine, idle + idle, "", 0, false},
		{"idle of a turn in between", answer + running + mine, other + idle, "", 0, false},
		{"a long line, then idle", answer + running + mine, `{"type":"assistant","x":"` + hole + `"}` + "\n" + idle, "", 0, false},
		{"idle after idle", idle, idle, "", 0, false},
		{"garbage", answer, "what\n", "", 0, false},
		{"done", answer, running + mine + idle, "mine", 3, false},
		{"own turn first", answer, running + other + mine, "mine", 1, false},
		{"own turn only", answer, running + other, "", 0, false},
		{"no newline", answer, running + strings.TrimSpace(mine), "mine", 3, false},
		{"given back in between", answer, running + hole + mine, "mine", 3, false},
		{"only the first", answer, mine + mine, "mine", 3, false},
	} {
		dir := t.TempDir()
		os.WriteFile(dir+"/s.p1.out", []byte(c.before+c.after), 0o600)
		e, err := ReadOutcome(dir, "p1", int64(len(c.before)), "", false)
		if err != nil || e.NotBegun != c.untouched || (e.Result != nil) != (c.result != "") {
			t.Errorf("%s: got %+v, %v", c.name, e, err)
		}
		if e.Result != nil && (e.Result.Text != c.result || e.Result.CostUSD != c.cost) {
			t.Errorf("%s: got %+v", c.name, e.Result)
		}
	}
}
