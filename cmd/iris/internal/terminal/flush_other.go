//go:build !linux

package terminal

import "golang.org/x/sys/unix"

// flushInput drops what was typed and not read.
func flushInput(fd int) {
	const read = 1
	unix.IoctlSetPointerInt(fd, unix.TIOCFLUSH, read)
}
