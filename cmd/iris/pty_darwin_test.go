package main

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// unlockPty makes the other end of a terminal usable and returns its path.
func unlockPty(fd int) (string, error) {
	for _, request := range []uint{unix.TIOCPTYGRANT, unix.TIOCPTYUNLK} {
		if err := unix.IoctlSetInt(fd, request, 0); err != nil {
			return "", err
		}
	}
	var name [128]byte
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), unix.TIOCPTYGNAME, uintptr(unsafe.Pointer(&name))); errno != 0 {
		return "", errno
	}
	return unix.ByteSliceToString(name[:]), nil
}
