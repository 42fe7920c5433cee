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

// Without /proc the tree below an agent is unknown; its process group gets the signal
// instead.

// Collect adds nothing.
func (t Tree) Collect(ID) {}

// Kill signals the process groups.
func (t Tree) Kill(string, *Reaper) {
	for sid := range t.sessions {
		syscall.Kill(-sid, syscall.SIGKILL)
	}
}

// killSession does nothing: without awaitExit the number may be in use again.
func killSession(int) {}

// Alive reports whether any process has that number.
func (p ID) Alive() bool { return syscall.Kill(p.PID, 0) == nil }

// Signal does nothing, since it cannot tell a process from a later one with its
// number.
func (p ID) Signal(syscall.Signal) error { return os.ErrProcessDone }

func (p ID) wait(time.Duration) {}

// Identify returns an ID with the number alone.
func Identify(pid int) ID { return ID{PID: pid} }

// WritingTo finds nothing.
func WritingTo(string) ID { return ID{} }

// Latest returns an empty ID.
func Latest() ID { return ID{} }

// BootID identifies the current boot of the machine; empty if unknown.
func BootID() string { return "" }

// TreeMemory is the resident size that ps shows of the process alone.
func TreeMemory(pid int) int64 {
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return n << 10
}
