package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/config/sys/systest"
	"iris/ipc"
)

// A tenant is another user, whose runtime directory comes with a login and goes with the
// logout.
type tenant struct {
	t       *testing.T
	dir     string
	runtime string
	iris    string
	env     []string
}

// tenantID is the uid and gid of the tenant; no account is needed.
const tenantID = 61234

// newTenant makes the tenant and logs it in. It needs root.
func newTenant(t *testing.T) *tenant {
	t.Helper()
	systest.NeedsRoot(t) // to be another user, who cannot make the runtime directory again
	dir, err := os.MkdirTemp("", "iris")
	if err != nil {
		t.Fatal(err)
	}
	u := &tenant{t: t, dir: dir, runtime: filepath.Join(dir, "run", "user"), iris: filepath.Join(dir, "bin", "iris")}
	home := filepath.Join(dir, "home")
	for _, sub := range []string{dir, filepath.Dir(u.iris), filepath.Dir(u.runtime)} {
		u.mkdir(sub, 0o755, 0)
	}
	u.mkdir(home, 0o700, tenantID)
	u.login()
	// By another process: a child of this one, forked meanwhile, would have the program
	// open for writing.
	if out, err := exec.Command("cp", irisPath(t), u.iris).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	u.env = []string{"PATH=" + os.Getenv("PATH"), "SHELL=/bin/sh", "HOME=" + home, "XDG_RUNTIME_DIR=" + u.runtime}
	t.Cleanup(func() {
		u.run("daemon", "stop", "--force")
		for end := time.Now().Add(longEnough); len(processesOf(home)) > 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("left behind: %q", processesOf(home))
				break
			}
		}
		os.RemoveAll(dir)
	})
	return u
}

func (u *tenant) mkdir(dir string, mode os.FileMode, owner int) {
	u.t.Helper()
	err := os.MkdirAll(dir, mode)
	if err == nil {
		err = os.Chmod(dir, mode)
	}
	if err == nil {
		err = os.Chown(dir, owner, owner)
	}
	if err != nil {
		u.t.Fatal(err)
	}
}

func (u *tenant) login() { u.mkdir(u.runtime, 0o700, tenantID) }

// logout takes the runtime directory away at once, as its unmounting does: the daemon gets
// no event.
func (u *tenant) logout() {
	u.t.Helper()
	if err := os.Rename(u.runtime, filepath.Join(u.dir, "gone")); err != nil {
		u.t.Fatal(err)
	}
}

func (u *tenant) command(args ...string) *exec.Cmd {
	cmd := exec.Command(u.iris, args...)
	cmd.Env, cmd.Dir = u.env, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: tenantID, Gid: tenantID}}
	return cmd
}

// run runs a command and returns its output.
func (u *tenant) run(args ...string) string {
	u.t.Helper()
	out, err := u.command(args...).CombinedOutput()
	if err != nil {
		u.t.Errorf("iris %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (u *tenant) status(args ...string) (s ipc.Status) {
	u.t.Helper()
	out := u.run(append(args, "daemon", "status", "--json")...)
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		u.t.Errorf("%v: %s", err, out)
	}
	return s
}

func TestLogoutLocksNobodyOut(t *testing.T) {
	t.Parallel()
	u := newTenant(t)
	u.run("send", "echo", "hello")
	before := u.status()
	u.logout()
	if out := u.run("send", "echo", "again"); out != "again\n" {
		t.Errorf("got %q", out)
	}
	// An agent's environment names the place of the socket that is gone.
	for _, args := range [][]string{nil, {"--socket", before.Socket}} {
		now := u.status(args...)
		if want := filepath.Join(u.dir, "home/.local/state/iris/run/iris.sock"); now.PID != before.PID || now.Socket != want {
			t.Errorf("%q: pid %d at %s, and before the logout %d at %s", args, now.PID, now.Socket, before.PID, before.Socket)
		}
	}
	u.run("daemon", "restart")
	if now := u.status("--socket", before.Socket); now.PID != before.PID || now.Generation != 2 {
		t.Errorf("after the restart: %+v", now)
	}

	// The daemon stays where it is at the next login, until it is stopped.
	u.login()
	if now := u.status(); now.PID != before.PID {
		t.Errorf("another daemon, %d", now.PID)
	}
	if out := u.run("daemon", "stop"); out != "" {
		t.Errorf("daemon stop says %q", out)
	}
	u.run("ps")
	if now := u.status(); now.Socket != before.Socket {
		t.Errorf("the next daemon is at %s", now.Socket)
	}
}

// A container that has the state directory and not the runtime directory sees the lock, and
// neither the socket nor the process.
func TestDaemonOutsideOfTheContainerIsNotDenied(t *testing.T) {
	t.Parallel()
	u := newTenant(t)
	u.run("ps")
	script := fmt.Sprintf(`mount -t tmpfs none "$0" && exec setpriv --reuid %d --regid %[1]d --clear-groups "$@"`, tenantID)
	inside := func(args ...string) (string, int) {
		cmd := exec.Command("unshare", append([]string{"--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", script, filepath.Dir(u.runtime), u.iris}, args...)...)
		cmd.Env, cmd.Dir = u.env, "/"
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Skipf("no container: %v", err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	for _, args := range [][]string{{"daemon", "stop"}, {"daemon", "status"}, {"ps"}} {
		out, code := inside(args...)
		if strings.Contains(out, "unshare") || strings.Contains(out, "mount:") {
			t.Skipf("no container: %s", out)
		}
		for _, want := range []string{"a daemon elsewhere has the lock ", "/daemon.lock, and its socket " + u.runtime, "not here\n", "IRIS_SOCKET=" + u.dir} {
			if code != 3 || !strings.Contains(out, want) {
				t.Errorf("iris %q: status %d: %s", args, code, out)
			}
		}
	}
}
