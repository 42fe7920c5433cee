package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"iris/config/sys"
)

// stateSize is the most bytes of the state of iris, where it has a file system of its own.
const stateSize = 1 << 30

const apartName = "CRASHTEST_APART"

// apart runs this program again where it may have file systems of its own, which go with
// it. It reports false when it is there, or when nobody may do this here.
func apart(ctx context.Context, seed uint64) (status int, done bool) {
	self, err := os.Executable()
	if err != nil || os.Getenv(apartName) != "" {
		return 0, false
	}
	runtime.LockOSThread() // with this thread the child ends
	cmd := exec.CommandContext(ctx, self, append(os.Args[1:], "-seed", strconv.FormatUint(seed, 10))...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = append(os.Environ(), apartName+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig: syscall.SIGTERM,
	}
	if cmd.Start() != nil {
		return 0, false
	}
	cmd.Wait()
	return cmd.ProcessState.ExitCode(), true
}

// mount gives the state of iris a file system of its own, if that is possible here.
func (h *home) mount() {
	h.tmpfs = os.Getenv(apartName) != "" && unix.Mount("tmpfs", h.state(), "tmpfs", 0, fmt.Sprintf("mode=700,size=%d", stateSize)) == nil
}

// resize changes the size of that file system.
func (h *home) resize(size uint64) error {
	return unix.Mount("tmpfs", h.state(), "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", size))
}

// shrink makes it full but for so many bytes. What is written meanwhile may be too much for
// the new size: it tries again.
func (h *home) shrink(but uint64) (err error) {
	for range 100 {
		var st unix.Statfs_t
		if err := unix.Statfs(h.state(), &st); err != nil {
			return err
		}
		if err = h.resize((st.Blocks-st.Bfree)*uint64(st.Bsize) + but); err == nil {
			return nil
		}
	}
	return fmt.Errorf("make the disk full: %w", err)
}

// unmount moves what is on that file system to where it was mounted, if keep is set, and
// removes it.
func (h *home) unmount(keep bool) error {
	if !h.tmpfs {
		return nil
	}
	kept := filepath.Join(h.dir, "kept")
	if keep {
		if err := os.CopyFS(kept, os.DirFS(h.state())); err != nil {
			return err
		}
	}
	if err := unix.Unmount(h.state(), unix.MNT_DETACH); err != nil || !keep {
		return err
	}
	if err := os.Remove(h.state()); err != nil {
		return err
	}
	return os.Rename(kept, h.state())
}

// limited lowers a limit of a daemon for a while. A daemon that is gone has none.
func limited(ctx context.Context, daemon process, what int, to uint64, during time.Duration) error {
	var old unix.Rlimit
	if err := unix.Prlimit(daemon.pid, what, nil, &old); err != nil {
		return unlessGone(err)
	}
	low := old
	low.Cur = min(to, old.Cur)
	if err := unix.Prlimit(daemon.pid, what, &low, nil); err != nil {
		return unlessGone(err)
	}
	sys.Sleep(ctx, during)
	return unlessGone(unix.Prlimit(daemon.pid, what, &old, nil))
}

func unlessGone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
