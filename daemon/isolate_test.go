//go:build linux

package daemon

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inherited is what a process has inherited at its start.
type inherited struct {
	Err      string
	Dir      string
	Nice     int
	FSize    uint64
	Open     []int
	SigIgn   bool
	KeptOpen bool
}

// showInherited is the program of TestIsolate: it calls Isolate and starts a child, which
// writes what it has inherited.
func showInherited() int {
	if len(os.Args) > 2 {
		return showChild()
	}
	err := Isolate(4)
	cmd := exec.Command("/proc/self/exe", "inherited", "child", fmt.Sprint(err))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if _, err := unix.FcntlInt(4, unix.F_GETFD, 0); err == nil {
		cmd.Env = append(os.Environ(), "KEPT=1")
	}
	if err := cmd.Run(); err != nil {
		return 1
	}
	return 0
}

func showChild() int {
	var v inherited
	v.Err = os.Args[3]
	v.Dir, _ = os.Getwd()
	prio, _ := unix.Getpriority(unix.PRIO_PROCESS, 0)
	v.Nice = 20 - prio // the raw call returns 20 - nice
	var r unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_FSIZE, &r)
	v.FSize = r.Cur
	for fd := 3; fd < 64; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			v.Open = append(v.Open, fd)
		}
	}
	v.SigIgn = signal.Ignored(syscall.SIGHUP)
	v.KeptOpen = os.Getenv("KEPT") != ""
	json.NewEncoder(os.Stdout).Encode(v)
	return 0
}

func TestLimitThatCannotBeLiftedIsNamed(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/bash", "-c", `ulimit -f 1; exec "$0" inherited`, exe)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got inherited
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lifted := got.Err == "<nil>" && got.FSize == unix.RLIM_INFINITY // with CAP_SYS_RESOURCE
	named := strings.Contains(got.Err, "ulimit -f") && strings.Contains(got.Err, errUnusableLimits.Error())
	if !lifted && !named {
		t.Errorf("got %q and a limit of %d, want it lifted or named", got.Err, got.FSize)
	}
}

func TestIsolateUndoesWhatTheCallerLent(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := `trap '' HUP; ulimit -S -f 1; exec 9</dev/null 4</dev/null 3>/dev/null; exec nice -n 19 "$0" inherited`
	if os.Getuid() != 0 {
		script = `trap '' HUP; exec 9</dev/null 4</dev/null 3>/dev/null; exec "$0" inherited`
	}
	cmd := exec.Command("/bin/bash", "-c", script, exe)
	cmd.Dir = t.TempDir()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got inherited
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got.Err != "<nil>" {
		t.Errorf("not undone: %s", got.Err)
	}
	if got.Dir != "/" || got.Nice != 0 || got.FSize != unix.RLIM_INFINITY || got.SigIgn {
		t.Errorf("got dir %s, nice %d, file size limit %d, SIGHUP ignored %v", got.Dir, got.Nice, got.FSize, got.SigIgn)
	}
	if len(got.Open) > 0 {
		t.Errorf("descriptors %v reached the child", got.Open)
	}
	if !got.KeptOpen {
		t.Error("the descriptor to keep was closed")
	}
}
