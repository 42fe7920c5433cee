//go:build linux

package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/config/sys/systest"
	"iris/ipc"
)

// What systemd says to a program and hears from it is real here, without root:
// systemd-socket-activate is systemd's own. The units run under a real user manager in
// TestRealUserManagerRunsTheUnits. Nothing has seen the start limits and
// EXTEND_TIMEOUT_USEC= at work.

// A noticeBoard is where a service manager hears of its services. It reads all the
// time: a few notices that nobody has read keep out those that follow.
type noticeBoard struct {
	t     *testing.T
	path  string
	heard chan string
}

func newNoticeBoard(t *testing.T) *noticeBoard {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	n := &noticeBoard{t, path, make(chan string, 10_000)}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { conn.Close() })
	wg.Go(func() {
		for buf := make([]byte, 4096); ; {
			k, err := conn.Read(buf)
			if err != nil {
				return
			}
			n.heard <- string(buf[:k])
		}
	})
	return n
}

// next returns the next notice, or "" when none comes within that time.
func (n *noticeBoard) next(d time.Duration) string {
	select {
	case notice := <-n.heard:
		return notice
	case <-time.After(d):
		return ""
	}
}

// await returns when a notice with each of the lines has come, in that order.
func (n *noticeBoard) await(lines ...string) {
	n.t.Helper()
	var seen []string
	for _, line := range lines {
		for {
			notice := n.next(longEnough)
			if notice == "" {
				n.t.Fatalf("no %s after %q", line, seen)
			}
			seen = append(seen, notice)
			if slices.Contains(strings.Split(notice, "\n"), line) {
				break
			}
		}
	}
}

// activate has systemd listen for the daemon of an inn. The program that is
// started at the first connection has the same process id.
func (i *inn) activate(n *noticeBoard) *exec.Cmd {
	i.t.Helper()
	i.mkdir("run/iris")
	args := []string{"--listen", i.socket}
	for _, v := range append(i.env, "NOTIFY_SOCKET="+n.path, "WATCHDOG_USEC=200000", "GORACE="+os.Getenv("GORACE")) {
		args = append(args, "--setenv="+v)
	}
	cmd := exec.Command(systest.Needs(i.t, "systemd-socket-activate"), append(args, i.iris, "daemon")...)
	cmd.Env = i.env
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	i.eventually("systemd's socket", func() bool {
		nc, err := os.Lstat(i.socket)
		return err == nil && nc.Mode().Type() == os.ModeSocket
	})
	return cmd
}

// isActivated reports whether the daemon has been started.
func isActivated(cmd *exec.Cmd) bool {
	exe, _ := os.Readlink("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/exe")
	return !strings.HasSuffix(exe, "systemd-socket-activate")
}

func TestDaemonBySocketActivation(t *testing.T) {
	t.Parallel()
	systest.Needs(t, "systemd-socket-activate", "systemctl")
	i := newInn(t, "", "api")
	i.run("daemon", "stop")
	n := newNoticeBoard(t)
	cmd := i.activate(n)
	lent, err := os.Lstat(i.socket)
	if err != nil {
		t.Fatal(err)
	}

	// A command that wants no daemon starts none.
	i.run("daemon", "install", "--socket")
	i.mkdir("run/systemd")
	wanted := filepath.Join(i.mkdir("config/systemd/user/sockets.target.wants"), "iris.socket")
	if err := os.Symlink("../iris.socket", wanted); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--no-start", "ps"}, {"daemon", "status"}, {"daemon", "reload"}} {
		var exit *exec.ExitError
		if err := i.command(args...).Run(); !errors.As(err, &exit) || exit.ExitCode() != ipc.CodeDaemon {
			t.Errorf("iris %s: got %v", strings.Join(args, " "), err)
		}
	}
	i.run("daemon", "stop")
	if isActivated(cmd) {
		t.Fatal("it woke the daemon")
	}

	// A command that wants one does.
	if got := i.run("send", "-n", "api", "echo:hello"); got != "hello\n" {
		t.Errorf("got %q", got)
	}
	n.await("READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1")
	st := i.status()
	if st.PID != cmd.Process.Pid || st.Socket != i.socket {
		t.Errorf("got pid %d, socket %s; want %d, %s", st.PID, st.Socket, cmd.Process.Pid, i.socket)
	}
	i.run("daemon", "status") // for one that runs, --no-start does not matter
	if env := i.ask("api", "env"); !strings.Contains(env, "IRIS_PROCESS") || strings.Contains(env, "LISTEN_") || strings.Contains(env, "NOTIFY_SOCKET") || strings.Contains(env, "WATCHDOG_") {
		t.Errorf("the agent has %s", env)
	}
	if fds := i.ask("api", "fds"); strings.Contains(fds, "socket") {
		t.Errorf("the agent has open %s", fds)
	}

	// The program can be replaced below systemd.
	agent := i.ps()["api@"].PID
	i.run("daemon", "restart")
	n.await("READY=1", "WATCHDOG=1", "WATCHDOG=1")
	if now := i.status(); now.PID != st.PID || now.Generation != 2 || i.ps()["api@"].PID != agent {
		t.Errorf("got %+v", now)
	}
	if got := i.ask("api", "echo:again"); got != "again" {
		t.Errorf("got %q", got)
	}

	i.run("daemon", "stop")
	n.await("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
	if left, err := os.Lstat(i.socket); err != nil || !os.SameFile(lent, left) || left.Mode().Perm() != 0o600 {
		t.Errorf("the socket is not as it was: %v, %v", left, err)
	}
}

// A stopped process gives no sign of life. (That a daemon which hangs inside does
// not either is tested where its locks can be reached.)
func TestStoppedDaemonIsSilent(t *testing.T) {
	t.Parallel()
	systest.Needs(t, "systemd-socket-activate")
	i := newInn(t, "", "api")
	i.run("daemon", "stop")
	n := newNoticeBoard(t)
	cmd := i.activate(n)
	i.run("ps")
	n.await("READY=1", "WATCHDOG=1")
	cmd.Process.Signal(syscall.SIGSTOP)
	defer cmd.Wait()
	defer i.run("daemon", "stop")
	defer cmd.Process.Signal(syscall.SIGCONT)
	for range 100 { // those that are on their way
		if n.next(time.Second) == "" {
			return
		}
	}
	t.Error("a stopped daemon gives signs of life")
}
