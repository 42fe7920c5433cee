package daemon

import (
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
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
	program := mustOpenCandidate(t, "/dev/null")
	var wg sync.WaitGroup
	defer wg.Wait()
	done := make(chan error, 1)
	defer func() { // it has the descriptor until it returns
		if err := <-done; !errors.Is(err, fs.ErrPermission) {
			t.Errorf("execute: %v, want that this is no program", err)
		}
		if !closedOnExec(t, fd) {
			t.Error("after a failed exec the descriptor survives the next one")
		}
	}()

	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	returned := make(chan struct{})
	wg.Go(func() {
		done <- execute(program, nil, h)
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

func mustOpenCandidate(t *testing.T, path string) *candidate {
	t.Helper()
	c, err := openCandidate(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func TestProgramThatWasWrittenToAfterItsTrialIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	c := mustOpenCandidate(t, path)
	if err := os.Remove(path); err != nil || c.check() != nil {
		t.Errorf("another file in its place does not matter: %v, %v", err, c.check())
	}
	write("two")
	c = mustOpenCandidate(t, path)
	write("three")
	if err := c.check(); err == nil || !strings.Contains(err.Error(), path+": it has been written to") {
		t.Errorf("got %v", err)
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
