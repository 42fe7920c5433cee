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

	"iris/config/sys/systest"
)

// inherited is what a process has inherited at its start.
type inherited struct {
	Err      string
	Dir      string
	Nice     int
	FSize    uint64
	Files    unix.Rlimit
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
	unix.Getrlimit(unix.RLIMIT_NOFILE, &v.Files)
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

// isolated runs a shell script that starts the program of TestIsolate ("$0"), and returns
// what its child has inherited.
func isolated(t *testing.T, script string) (got inherited) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(systest.Needs(t, "sh"), "-c", script, exe)
	cmd.Dir = t.TempDir()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return got
}

func TestLimitThatCannotBeLiftedIsNamed(t *testing.T) {
	for _, limit := range []string{"ulimit -f 1", "ulimit -n 30"} {
		got := isolated(t, limit+`; exec "$0" inherited`)
		lifted := got.Err == "<nil>" && got.FSize == unix.RLIM_INFINITY && got.Files.Cur == openFiles // with CAP_SYS_RESOURCE
		named := strings.Contains(got.Err, limit[:len("ulimit -f")]) && strings.Contains(got.Err, errUnusableLimits.Error())
		if !lifted && !named {
			t.Errorf("%s: got %q and limits of %d and %d, want it lifted or named", limit, got.Err, got.FSize, got.Files.Cur)
		}
	}
}

func TestIsolateUndoesWhatTheCallerLent(t *testing.T) {
	got := isolated(t, `trap '' HUP; ulimit -S -f 1; ulimit -S -n 40; exec 9</dev/null 4</dev/null 3>/dev/null; exec "$0" inherited`)
	stays, _ := strings.CutPrefix(got.Err, "nice value inherited from the caller stays: ")
	niced := got.Nice != 0 && stays == syscall.EACCES.Error() // the tests themselves run under nice
	if got.Err != "<nil>" && !niced {
		t.Errorf("not undone: %s", got.Err)
	}
	if got.Dir != "/" || got.FSize != unix.RLIM_INFINITY || got.SigIgn {
		t.Errorf("got dir %s, file size limit %d, SIGHUP ignored %v", got.Dir, got.FSize, got.SigIgn)
	}
	if got.Files.Cur != min(openFiles, got.Files.Max) {
		t.Errorf("a child may open %d files, want the same whatever the caller may", got.Files.Cur)
	}
	if len(got.Open) > 0 {
		t.Errorf("descriptors %v reached the child", got.Open)
	}
	if !got.KeptOpen {
		t.Error("the descriptor to keep was closed")
	}
}

func TestNiceValueIsUndone(t *testing.T) {
	systest.NeedsRoot(t) // or a limit that a caller seldom has
	if got := isolated(t, `exec nice -n 19 "$0" inherited`); got.Err != "<nil>" || got.Nice != 0 {
		t.Errorf("got nice %d, %s", got.Nice, got.Err)
	}
}
