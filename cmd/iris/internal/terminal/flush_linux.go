package terminal

import "golang.org/x/sys/unix"

// flushInput drops typed input that was not read.
func flushInput(fd int) { unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) }
