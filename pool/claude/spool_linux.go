package claude

import (
	"errors"
	"os"

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

// punch gives n bytes from off back to the disk; they read as zeros then.
func punch(f *os.File, off, n int64) error {
	return control(f, func(fd int) error {
		return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	})
}
