package claude

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// allocate reserves n bytes from off without changing the file's size.
func allocate(f *os.File, off, n int64) error {
	err := control(f, func(fd int) error { return unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, off, n) })
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	return haveRoom(f, n)
}

// haveRoom is for file systems that cannot reserve.
func haveRoom(f *os.File, n int64) error {
	var s unix.Statfs_t
	if err := control(f, func(fd int) error { return unix.Fstatfs(fd, &s) }); err != nil {
		return err
	}
	if int64(s.Bavail)*s.Bsize < n {
		return unix.ENOSPC
	}
	return nil
}

// punch gives n bytes from off back to the disk; they read as zeros then.
func punch(f *os.File, off, n int64) error {
	return control(f, func(fd int) error {
		return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	})
}

// control calls f with the descriptor of a file, which stays open meanwhile. The
// process of a spool may end at any time, and the file is closed then: its number
// may soon be that of another file.
func control(file *os.File, f func(fd int) error) error {
	c, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := c.Control(func(fd uintptr) { result = f(int(fd)) }); err != nil {
		return err
	}
	return result
}

// allocated is what the file takes on the disk.
func allocated(info os.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return info.Size()
}

// data returns where the data begins that follows a hole in which off is.
func data(f *os.File, off int64) int64 {
	at, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	if err != nil {
		return off
	}
	return at
}
