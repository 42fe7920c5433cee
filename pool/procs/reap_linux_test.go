package procs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// playVar makes the test binary play the role that it names.
const playVar = "IRIS_TEST_PROCS"

func TestMain(m *testing.M) {
	if os.Getenv(playVar) == "reaper" {
		playReaper()
	}
	goleak.VerifyTestMain(m)
}

// playReaper starts children and lets orphans come in between, and checks that
// no exit status is lost and no zombie stays.
func playReaper() {
	r, err := NewReaper()
	if err != nil {
		panic(err)
	}
	lost := 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 50 {
				code := (worker*50 + i) % 200
				// The grandchild outlives its parent and becomes ours.
				err := r.Run(exec.Command("/bin/sh", "-c", fmt.Sprintf("(sleep 0.0%d; exit 7) >/dev/null & (exit 9) & exit %d", i%10, code)))
				exit, _ := errors.AsType[*exec.ExitError](err)
				if code == 0 && err != nil || code != 0 && (exit == nil || exit.ExitCode() != code) {
					mu.Lock()
					lost++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for end := time.Now().Add(time.Minute); len(children(os.Getpid())) > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	left := children(os.Getpid())
	r.Close()
	fmt.Printf("lost %d left %d\n", lost, len(left))
	syscall.Exit(0)
}

func TestReaperLosesNoExitStatus(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), playVar+"=reaper")
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "lost 0 left 0\n" {
		t.Errorf("got %q, %v", out, err)
	}
}
