package claude

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/pool/claude/claudetest"
)

// runState is the state of a process in the letter of the system: T for stopped.
func runState(t testing.TB, pid int) string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return string(stat[strings.LastIndexByte(string(stat), ')')+2])
}

func untilFrozen(t testing.TB, p *Process) {
	t.Helper()
	eventually(t, "the agent is stopped", func() bool { return p.Frozen() && runState(t, p.PID()) == "T" })
}

func TestIdleAgentIsFrozen(t *testing.T) {
	r := fakeRig(t)
	r.o.FreezeAfter = 20 * time.Millisecond
	p := r.start()
	untilFrozen(t, p) // before its first turn too
	child, err := strconv.Atoi(send(t, p, "fork:plain:1m").Text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(child, syscall.SIGKILL) })
	untilFrozen(t, p)
	if s := runState(t, child); s == "T" {
		t.Error("its tool is stopped too")
	}
	ask(t, p, "echo:x", "x")
	untilFrozen(t, p)
	if _, err := p.Check(t.Context(), true); err != nil || !p.Frozen() {
		t.Errorf("health check: %v, frozen %v", err, p.Frozen())
	}
	p.Stop()
	if p.Exit() != "exit status 0" {
		t.Errorf("a frozen agent was stopped: %s", p.Exit())
	}
}

// A frozen agent answers as before, and its servers are those that it had.
func TestRealIdleAgentIsFrozen(t *testing.T) {
	r := realRig(t)
	r.o.FreezeAfter = 20 * time.Millisecond
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r.o.Args = []string{"--allowedTools=mcp__counter__next",
		fmt.Sprintf(`--mcp-config={"mcpServers":{"counter":{"command":%q,"env":{%q:"counter"}}}}`, exe, roleVar)}
	p := r.start()
	for n := range 3 {
		ask(t, p, "tool:mcp__counter__next:{}", fmt.Sprintf("tool said: %d", n+1))
		untilFrozen(t, p)
	}
	if _, err := p.Check(t.Context(), true); err != nil {
		t.Error(err)
	}
	p.Stop()
	if p.Exit() != "exit status 0" {
		t.Errorf("a frozen agent was stopped: %s", p.Exit())
	}
}

func init() { roles["counter"] = claudetest.Counter }

// An agent that has something to do, or that may begin something, is not frozen.
func TestAgentWithWorkIsNotFrozen(t *testing.T) {
	for _, text := range []string{"background:x", "subagent:10m:x", "cron:10m:x", "tool:CronCreate:{}", "tool:ScheduleWakeup:{}"} {
		p := fakeRig(t).start()
		rests := func() bool {
			p.reading.token <- struct{}{}
			defer func() { <-p.reading.token }()
			return p.idleFor() >= 0
		}
		gate, open := gate(t)
		u := begin(t, context.Background(), p, "sleep:@"+gate, `"running"`)
		if rests() {
			t.Error("frozen in a turn")
		}
		open()
		if _, err := u.wait(t); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is idle", rests)
		p.NextTurn()
		if rests() {
			t.Error("frozen before a turn that is to begin")
		}
		if _, err := p.Send(context.Background(), &Message{Text: text, NoBackgroundWait: true}); err != nil {
			t.Fatal(err)
		}
		p.WaitIdle(context.Background())
		if rests() {
			t.Errorf("%s: frozen beside it", text)
		}
	}
}

// An agent that has begun a turn of its own just before it was stopped goes on with it.
func TestAgentThatIsFrozenTooLateGoesOn(t *testing.T) {
	r := fakeRig(t)
	r.o.FreezeAfter = slow
	p := r.start()
	begins, begin := gate(t)
	ends, end := gate(t)
	send(t, p, "spontaneous:@"+begins+":@"+ends)
	p.WaitIdle(context.Background())
	p.reading.token <- struct{}{} // what it writes now is not read
	time.Sleep(10 * time.Millisecond)
	p.freezer.after = 10 * time.Millisecond
	begin()
	eventually(t, "it has begun", func() bool {
		out, err := os.ReadFile(p.spool.path(".out"))
		i, j := strings.LastIndex(string(out), `"state":"running"`), strings.LastIndex(string(out), `"state":"idle"`)
		return err == nil && i > j
	})
	if p.freeze(); !p.Frozen() {
		t.Fatal("it was not frozen")
	}
	<-p.reading.token
	p.wake()
	eventually(t, "it goes on", func() bool { return !p.Frozen() && runState(t, p.PID()) != "T" })
	end()
	untilFrozen(t, p) // after its turn
}

// A schedule comes back with its conversation.
func TestResumedScheduleIsNotFrozen(t *testing.T) {
	for call, frozen := range map[string]bool{`"name":"Bash"`: true, `"name":"CronCreate"`: false} {
		r := fakeRig(t)
		p := r.start()
		ask(t, p, "echo:x", "x")
		stop(t, p)
		addToTranscript(t, r, call)
		r.o.FreezeAfter = time.Millisecond
		p = r.again()
		if frozen {
			untilFrozen(t, p)
			continue
		}
		eventually(t, "its transcript is read", func() bool {
			p.reading.token <- struct{}{}
			defer func() { <-p.reading.token }()
			return p.reading.notes.Resumed == "" && p.idleFor() < 0 && !p.Frozen()
		})
	}
}

// addToTranscript adds a line to the transcript, in which a text lies over the border of two
// parts that are read.
func addToTranscript(t *testing.T, r *rig, text string) {
	t.Helper()
	path, err := Transcript(r.o.Env, r.o.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	begin := `{"type":"assistant","filler":"`
	filler := 2*chunk - int(info.Size()) - len(begin) - 8
	fmt.Fprintf(f, "%s%s\",%s}\n", begin, strings.Repeat("x", filler), text)
}

func init() { roles["freezer"] = playFreezer }

// playFreezer is a daemon whose agent is frozen.
func playFreezer() {
	var a part
	json.Unmarshal([]byte(os.Getenv("IRIS_TEST_PART")), &a)
	p, err := Start(context.Background(), Options{
		ID: a.ID, Team: "api", Command: a.Command, Dir: a.Dir, Env: a.Env, Spools: a.Spools, SessionID: a.SessionID,
		StartTimeout: slow, Grace: time.Second, Follower: NewFollower(), FreezeAfter: time.Millisecond,
	})
	if err != nil {
		panic(err)
	}
	for !p.Frozen() {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(p.PID())
	select {}
}

// When its daemon dies, a frozen agent reads the end of its input and leaves.
func TestFrozenAgentLeavesWithItsDaemon(t *testing.T) {
	r := fakeRig(t)
	told, _ := json.Marshal(part{ID: r.o.ID, Command: r.o.Command, Dir: r.o.Dir, Spools: r.o.Spools, SessionID: r.o.SessionID, Env: r.o.Env})
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVar+"=freezer", "IRIS_TEST_PART="+string(told))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanln(out, &pid); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is stopped", func() bool { return runState(t, pid) == "T" })
	cmd.Process.Kill()
	cmd.Wait()
	eventually(t, "the agent is gone", func() bool {
		orphans, err := Orphans(r.o.Spools)
		return err == nil && len(orphans) == 0
	})
}

// A next daemon continues what it finds stopped.
func TestStoppedOrphanIsContinued(t *testing.T) {
	r := fakeRig(t)
	killDaemon(t, r, `"running"`, "echo:one", "hang")
	var pid int
	eventually(t, "an orphan is there", func() bool {
		all, err := Orphans(r.o.Spools)
		if err == nil && len(all) == 1 {
			pid = all[0].PID
		}
		return pid != 0
	})
	t.Cleanup(func() { endAll([]int{pid}) })
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is stopped", func() bool { return runState(t, pid) == "T" })
	all, err := Orphans(r.o.Spools)
	if err != nil {
		t.Fatal(err)
	}
	all[0].Continue()
	eventually(t, "it runs", func() bool { return runState(t, pid) != "T" })
}
