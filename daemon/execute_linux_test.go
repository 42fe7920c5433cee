package daemon

import (
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iris/ipc"
)

// TestNoForkDuringExecute: while a child is being forked, execute must not make a descriptor
// survive an exec. The child would keep the write end of an agent's stdin for ever. A fork
// holds syscall.ForkLock for reading.
func TestNoForkDuringExecute(t *testing.T) {
	defer signal.Reset(syscall.SIGHUP) // execute ignores it
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd := int(w.Fd())
	h := &Handoff{Lock: fd, Socket: ipc.Handed{FD: fd}}
	var wg sync.WaitGroup
	defer wg.Wait()
	done := make(chan error, 1)
	defer func() { // it has the descriptor until it returns
		if err := <-done; !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("execute: %v, want that there is no such program", err)
		}
		if !closedOnExec(t, fd) {
			t.Error("after a failed exec the descriptor survives the next one")
		}
	}()

	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	returned := make(chan struct{})
	wg.Go(func() {
		done <- execute(filepath.Join(t.TempDir(), "none"), nil, h)
		close(returned)
	})
	for range 100 {
		if !closedOnExec(t, fd) {
			t.Fatal("a descriptor survives exec while a child is being forked")
		}
		select {
		case <-returned:
			t.Fatal("execute did not wait for the fork that is under way")
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func closedOnExec(t *testing.T, fd int) bool {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.FD_CLOEXEC != 0
}
