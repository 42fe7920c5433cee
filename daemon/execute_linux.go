package daemon

import (
	"encoding/json"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// canReplace says whether execute works on this system.
const canReplace = true

// execute replaces the program of this process and passes on the state and the open
// descriptors. It returns only on an error, and then nothing has changed.
//
// While a descriptor would survive an exec, no child may be forked: the child would keep
// the write end of another agent's stdin for ever.
func execute(program string, args []string, h *Handoff) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("handoff", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	state := os.NewFile(uintptr(fd), "handoff")
	defer state.Close()
	if _, err := state.WriteAt(b, 0); err != nil {
		return err
	}
	args = append(slices.Clone(args), "--takeover-fd", strconv.Itoa(fd))
	signal.Ignore(syscall.SIGHUP) // it would end the new program before that handles it
	open := append(h.Descriptors(), fd)

	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	for _, fd := range open {
		if err = keepOnExec(fd); err != nil {
			break
		}
	}
	if err == nil {
		err = syscall.Exec(program, args, append(os.Environ(), h.environ...))
	}
	for _, fd := range open {
		unix.CloseOnExec(fd)
	}
	return err
}

func keepOnExec(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags&^unix.FD_CLOEXEC)
	}
	return err
}
