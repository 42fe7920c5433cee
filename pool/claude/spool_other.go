//go:build !linux

package claude

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// allocate only looks whether n bytes are free.
func allocate(f *os.File, _, n int64) error {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &s); err != nil {
		return err
	}
	if int64(s.Bavail)*int64(s.Bsize) < n {
		return unix.ENOSPC
	}
	return nil
}

// punch is not done here: a spool is as large as what went through it.
func punch(*os.File, int64, int64) error { return errors.ErrUnsupported }

// data is for files without holes.
func data(_ *os.File, off int64) int64 { return off }

// allocated is what the file takes on the disk.
func allocated(info os.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return info.Size()
}
