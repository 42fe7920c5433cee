//go:build !linux

package claude

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Without /proc the tree below an agent is not known; what is left in its own
// process group gets the signal.

func (t tree) collect(procID) {}

func (t tree) kill(string, *Reaper) {
	for sid := range t.sessions {
		syscall.Kill(-sid, syscall.SIGKILL)
	}
}

func (p procID) alive() bool { return syscall.Kill(p.pid, 0) == nil }

// signal cannot tell a process from one that has its number later, and so does
// nothing.
func (p procID) signal(syscall.Signal) error { return os.ErrProcessDone }

func (p procID) wait(time.Duration) {}

func identify(pid int) procID { return procID{pid: pid} }

func latest() procID { return procID{} }

// BootID tells one boot of the machine from another; empty where that is not
// known.
func BootID() string { return "" }

// memory is what ps says is resident in the process itself.
func memory(pid int) int64 {
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return n << 10
}
