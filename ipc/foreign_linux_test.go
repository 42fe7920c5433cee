package ipc

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"iris/config/sys/systest"
)

const stranger = 65534

// asStranger starts this test binary as another user, in a role of play.
func asStranger(t *testing.T, role, path string) (stdin io.WriteCloser, stdout io.Reader, wait func()) {
	t.Helper()
	systest.NeedsRoot(t)
	exe := filepath.Join(t.TempDir(), "stranger")
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	must(t, os.WriteFile(exe, self, 0o755))
	for dir := filepath.Dir(exe); dir != os.TempDir(); dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	cmd := exec.Command(exe)
	cmd.Env = []string{"IPC_TEST_ROLE=" + role, "IPC_TEST_SOCKET=" + path, "GORACE=atexit_sleep_ms=0"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return in, out, func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the other user's process: %v", err)
		}
	}
}

func TestAnotherUserIsRefused(t *testing.T) {
	var refused atomic.Pointer[Peer]
	s := testServer(Options{Refused: func(p Peer, err error) {
		if errors.Is(err, ErrForeign) {
			refused.Store(&p)
		}
	}})
	path := start(t, s)

	_, stdout, wait := asStranger(t, "talk", path)
	got, _ := io.ReadAll(stdout)
	if wait(); !strings.Contains(string(got), "permission denied") {
		t.Errorf("through the modes: got %s", got)
	}

	must(t, os.Chmod(filepath.Dir(path), 0o755)) // somebody has opened them
	must(t, os.Chmod(path, 0o777))
	_, stdout, wait = asStranger(t, "talk", path)
	got, _ = io.ReadAll(stdout)
	if wait(); string(got) != "got \"\"\n" {
		t.Errorf("past the modes: got %s", got)
	}
	eventually(t, "the refusal is told", func() bool { return refused.Load() != nil })
	if p := refused.Load(); p.UID != stranger || p.PID == 0 {
		t.Errorf("refused: got %+v", p)
	}
}

func TestAnotherUsersDaemonIsRefused(t *testing.T) {
	path := socketPath(t)
	dir := filepath.Dir(path)
	must(t, os.Chmod(dir, 0o777))
	_, stdout, wait := asStranger(t, "listen", path)
	defer wait()
	io.ReadFull(stdout, make([]byte, len("listening\n")))
	must(t, os.Chmod(dir, 0o700))
	must(t, os.Chown(path, os.Geteuid(), os.Getegid())) // looks like ours
	must(t, Check(path))
	_, err := Dial(soon(t), path, Hello{})
	if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "65534") {
		t.Errorf("got %v", err)
	}
}
