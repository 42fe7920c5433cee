package claudetest

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tied is for a child that dies with the thread that started it.
func tied() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// countLocks counts the locked bytes from lo up to hi. The system names any one
// of them, so each answer splits the range.
func countLocks(f *os.File, lo, hi int64) int {
	if lo >= hi {
		return 0
	}
	q := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: lo, Len: hi - lo}
	if unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &q) != nil || q.Type == unix.F_UNLCK {
		return 0
	}
	return 1 + countLocks(f, lo, q.Start) + countLocks(f, q.Start+1, hi)
}

// lockByte locks one byte of a file for the life of the process; false when
// another has it.
func lockByte(path string, at int64) bool {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		panic(fmt.Sprintf("claudetest: %s: %v", path, err))
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: at, Len: 1}
	return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &lock) == nil
}
