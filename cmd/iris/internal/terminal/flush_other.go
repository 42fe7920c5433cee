//go:build !linux

package terminal

import "golang.org/x/sys/unix"

// flushInput drops typed input that was not read.
func flushInput(fd int) {
	const read = 1
	unix.IoctlSetPointerInt(fd, unix.TIOCFLUSH, read)
}
