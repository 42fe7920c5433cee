package terminal

import "golang.org/x/sys/unix"

// flushInput drops what was typed and not read.
func flushInput(fd int) { unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) }
