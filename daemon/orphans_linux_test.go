package daemon

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/config/sys/systest"
	"iris/daemon/journal"
	"iris/pool/claude"
	"iris/pool/procs"
)

// hanging starts a process that a later daemon takes for an agent that hangs. SIGTERM does not
// end it.
func hanging(t *testing.T, spools, process string) {
	t.Helper()
	orphan(t, spools, process, `trap "" TERM; `, "")
}

// startReady starts a command in a session of its own, and returns when it has printed
// "ready". It is killed at the end of the test.
func startReady(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatal(line, err)
	}
}

// orphan starts a process that a later daemon takes for an agent, with more in its record. It
// runs the script and then does nothing.
func orphan(t *testing.T, spools, process, script, more string) {
	t.Helper()
	path := filepath.Join(spools, "session-"+process+"."+process)
	cmd := exec.Command("sh", "-c", script+`exec 9>>"$0.out"; flock 9; echo ready; while :; do sleep 0.1; done`, path)
	startReady(t, cmd)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	start := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[19]
	record := fmt.Sprintf(`{"session":"session-%s","process":%q,"pid":%d,"start":%s,"boot":%q%s}`,
		process, process, cmd.Process.Pid, start, procs.BootID(), more)
	if err := os.WriteFile(path+".json", []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A client that wants a daemon waits at most while AwaitOrphans ends one agent.
func TestSettleEndsOneAgentAtATime(t *testing.T) {
	systest.Needs(t, "flock")
	d := startDaemon(t, "orphan_timeout = \"100ms\"\nstop_grace = \"200ms\"\n")
	d.stop()
	for _, process := range []string{"a", "b", "c"} {
		hanging(t, d.paths.Spool, process)
	}
	living := func() int {
		found, err := claude.Orphans(d.paths.Spool)
		if err != nil {
			t.Error(err)
		}
		return len(found)
	}
	left, err := AwaitOrphans(t.Context(), AwaitOptions{Paths: d.paths, Hold: func() (func(), error) {
		before := living()
		return func() {
			if now := living(); now < before-1 {
				t.Errorf("%d agents ended while everybody had to wait", before-now)
			}
		}, nil
	}})
	if left != 0 || err != nil || living() != 0 {
		t.Errorf("%d left, %v, %d live", left, err, living())
	}
}

// backward returns a function that writes a line into every spool, as an agent does after the
// clock was set back by an hour.
func backward(spools string) (write func()) {
	at := time.Now().Add(-time.Hour)
	return func() {
		paths, _ := filepath.Glob(filepath.Join(spools, "*.out"))
		for _, path := range paths {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				continue
			}
			f.WriteString("{}\n")
			f.Close()
			at = at.Add(time.Millisecond)
			os.Chtimes(path, at, at)
		}
	}
}

// writing writes all the time until stop is called. stop returns the longest pause between two
// writes, which AwaitOrphans may have taken for silence.
func writing(write func()) (stop func() time.Duration) {
	var longest time.Duration
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for last := time.Now(); ; {
			write()
			now := time.Now()
			last, longest = now, max(longest, now.Sub(last))
			select {
			case <-over:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return func() time.Duration { close(over); wg.Wait(); return longest }
}

// An agent that writes makes progress, even if the clock is set back.
func TestClockThatIsSetBackEndsNoOrphan(t *testing.T) {
	systest.Needs(t, "flock")
	d := startDaemon(t, "orphan_timeout = \"1s\"\nstop_grace = \"100ms\"\n")
	d.stop()
	hanging(t, d.paths.Spool, "a")
	write := backward(d.paths.Spool)
	lives := func() bool {
		found, err := claude.Orphans(d.paths.Spool)
		return err == nil && len(found) == 1
	}
	hold := func() (func(), error) { write(); return func() {}, nil } // before each look
	if left, err := AwaitOrphans(t.Context(), AwaitOptions{Paths: d.paths, Hold: hold}); left != 1 || err != nil || !lives() {
		t.Errorf("settle: %d left, %v", left, err)
	}
	stop := writing(write)
	d.run()
	time.Sleep(1500 * time.Millisecond)
	living := lives()
	if silent := stop(); !living && silent < 500*time.Millisecond {
		t.Error("the daemon has ended it")
	}
}

// While a daemon can open no file, it cannot see the orphans. It does not take them for dead.
func TestOrphanOutlivesAWantOfDescriptors(t *testing.T) {
	systest.Needs(t, "flock")
	if !alone(t) {
		return
	}
	d := startDaemon(t, fakeTeam(t, "api"))
	d.stop()
	hanging(t, d.paths.Spool, "a")
	os.Remove(filepath.Join(d.paths.Spool, "session-a.a.json")) // so that it is looked at all the time
	j, err := journal.Open(d.paths.Journal)
	if err != nil {
		t.Fatal(err)
	}
	m := journal.New{ID: "01m0000000000000", Team: "api", Body: []byte("x"), At: time.Now()}
	if _, err := j.AcceptAndDispatch(m, journal.Attempt{Process: "a", Boot: procs.BootID(), At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	j.Close()
	d.run()
	fix := closeDoors(t)
	time.Sleep(500 * time.Millisecond)
	fix()
	time.Sleep(500 * time.Millisecond)
	if got := show(d, m.ID); got.State != "running" {
		t.Errorf("got %s: %s", got.State, got.Error)
	}
	if left, err := claude.Orphans(d.paths.Spool); len(left) != 1 || err != nil {
		t.Errorf("got %v, %v", left, err)
	}
}
