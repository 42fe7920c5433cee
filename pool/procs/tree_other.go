//go:build !linux

package procs

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Without /proc the tree below an agent is not known; the rest of its own
// process group gets the signal.

// Collect adds nothing.
func (t Tree) Collect(ID) {}

// Kill signals the process groups.
func (t Tree) Kill(string, *Reaper) {
	for sid := range t.sessions {
		syscall.Kill(-sid, syscall.SIGKILL)
	}
}

// Alive reports whether a process has that number.
func (p ID) Alive() bool { return syscall.Kill(p.PID, 0) == nil }

// Signal cannot tell a process from one that has its number later, and so does
// nothing.
func (p ID) Signal(syscall.Signal) error { return os.ErrProcessDone }

func (p ID) wait(time.Duration) {}

// Identify returns the number alone.
func Identify(pid int) ID { return ID{PID: pid} }

// Latest stands for nothing here.
func Latest() ID { return ID{} }

// BootID tells one boot of the machine from another; empty where that is not
// known.
func BootID() string { return "" }

// TreeMemory is what ps says is resident in the process itself.
func TreeMemory(pid int) int64 {
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return n << 10
}
