package daemon

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"iris/pool/claude"
)

// hanging starts what a later daemon takes for an agent that hangs, and that
// SIGTERM does not end.
func hanging(t *testing.T, spools, process string) {
	t.Helper()
	path := filepath.Join(spools, "session-"+process+"."+process)
	cmd := exec.Command("sh", "-c", `trap "" TERM; exec 9>>"$0.out"; flock 9; echo ready; while :; do sleep 0.1; done`, path)
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
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	start := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[19]
	record := fmt.Sprintf(`{"session":"session-%s","process":%q,"pid":%d,"start":%s,"boot":%q}`,
		process, process, cmd.Process.Pid, start, claude.BootID())
	if err := os.WriteFile(path+".json", []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whoever wants a daemon waits for the end of one agent, not of all.
func TestSettleEndsOneAgentAtATime(t *testing.T) {
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("SKIPPED: ", err)
	}
	d := startDaemon(t, "orphan_timeout = \"100ms\"\nstop_grace = \"200ms\"\n")
	d.stop()
	for _, process := range []string{"a", "b", "c"} {
		hanging(t, d.paths.Spool, process)
	}
	living := func() int {
		found, err := claude.Leftovers(d.paths.Spool)
		if err != nil {
			t.Error(err)
		}
		return len(found)
	}
	left, err := Settle(t.Context(), SettleOptions{Paths: d.paths, Hold: func() (func(), error) {
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
