package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/config/sys/systest"
)

// A userManager is a real "systemd --user" that runs the units of a house. It believes
// that systemd is process 1, as a directory in /run says so in mounts of its own; it has a
// control group of its own. Both take root.
type userManager struct {
	*house
	t   *testing.T
	pid int
}

const startUserManager = `set -e
for top in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
	if [ -e $top/cgroup.procs ]; then mkdir $top/$1; echo $$ > $top/$1/cgroup.procs; fi
done
mount -t tmpfs none /run
mkdir -p /run/systemd/system
exec "$2" --user --log-target=console`

func newUserManager(t *testing.T) *userManager {
	t.Helper()
	systest.NeedsRoot(t)
	systest.Needs(t, "unshare", "nsenter", "systemctl")
	const program = "/lib/systemd/systemd"
	systest.NeedsFile(t, program, "systemd")
	m := &userManager{house: newHouse(t, irisPath(t), "env = { GORACE = \"atexit_sleep_ms=0\" }\n"), t: t}
	if err := writeProgram(filepath.Join(m.mkdir("bin"), "loginctl"), "#!/bin/sh\n", 0o700); err != nil { // it asks process 1
		t.Fatal(err)
	}
	m.env[0] = "PATH=" + m.dir + "/bin:" + os.Getenv("PATH")
	group := filepath.Base(m.dir)
	cmd := exec.Command("unshare", "--mount", "sh", "-c", startUserManager, "sh", group, program)
	cmd.Env = m.env
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.pid = cmd.Process.Pid
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { cmd.Wait(); close(ended) })
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		wg.Wait()
		removeGroups(group)
	})
	m.eventually("the manager's socket", func() bool {
		select {
		case <-ended:
			t.Skipf("SKIPPED: needs mounts and a control group of its own: %s", &said)
		default:
		}
		_, err := os.Stat(filepath.Join(m.dir, "run/systemd/private"))
		return err == nil
	})
	return m
}

// removeGroups removes the control groups of a manager that has ended.
func removeGroups(name string) {
	for _, top := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"} {
		var dirs []string
		filepath.WalkDir(filepath.Join(top, name), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			syscall.Rmdir(dir)
		}
	}
}

func (m *userManager) eventually(what string, f func() bool) {
	m.t.Helper()
	for end := time.Now().Add(longEnough); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("%s did not come within %v\n%s", what, longEnough, m.sh("systemctl --user --no-pager status 'iris*' || true"))
		}
	}
}

// sh runs a script where the manager runs, and returns what it prints.
func (m *userManager) sh(script string) string {
	m.t.Helper()
	cmd := exec.Command("nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", m.pid), "sh", "-ec", script)
	cmd.Env = m.env
	return run(m.t, cmd)
}

// serves returns the process id of the daemon when it is another one than before: it
// answers, and is the main process of the service, which is active.
func (m *userManager) serves(before int) (pid int) {
	m.t.Helper()
	m.eventually("the daemon of the service", func() bool {
		out := m.sh("systemctl --user show --property=ActiveState,MainPID iris.service")
		fmt.Sscanf(strings.ReplaceAll(out, "ActiveState=active\n", ""), "MainPID=%d", &pid)
		return pid != 0 && pid != before && strings.Contains(out, "ActiveState=active\n")
	})
	if got := m.sh("iris send echo hello; iris daemon status --json"); !strings.Contains(got, fmt.Sprintf(`"pid":%d,`, pid)) || !strings.HasPrefix(got, "hello\n") {
		m.t.Errorf("%d is the service, and got %s", pid, got)
	}
	return pid
}

func (m *userManager) ends() {
	m.t.Helper()
	m.eventually("the end of the service", func() bool {
		return strings.TrimSpace(m.sh("systemctl --user is-active iris.service || true")) == "inactive"
	})
	if left := processesOf(m.dir); slices.ContainsFunc(left, func(p string) bool { return strings.Contains(p, "iris") && !strings.Contains(p, "systemd") }) {
		m.t.Errorf("left: %q", left)
	}
}

// The units do under a real "systemd --user" what iris-recipes(7) says of them.
func TestRealUserManagerRunsTheUnits(t *testing.T) {
	t.Parallel()
	m := newUserManager(t)
	m.sh("iris daemon install | sh")
	pid := m.serves(0)

	syscall.Kill(pid, syscall.SIGKILL)
	pid = m.serves(pid) // Restart=
	m.sh("iris daemon restart")
	if got := m.serves(0); got != pid { // it is replaced in its process
		t.Errorf("got daemon %d, want %d", got, pid)
	}

	m.sh("systemctl --user stop iris.service")
	m.ends()
	m.sh("iris ps") // which has systemd start the daemon
	pid = m.serves(pid)
	m.sh("iris daemon stop")
	m.ends()

	m.sh("systemctl --user reset-failed; iris daemon install --socket | sh; systemctl --user stop iris.service")
	m.ends()
	m.sh("iris send echo hello") // which systemd hears
	pid = m.serves(pid)

	drop := filepath.Join(m.mkdir("config/systemd/user/iris.service.d"), "soon.conf")
	if err := os.WriteFile(drop, []byte("[Service]\nWatchdogSec=3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.sh("systemctl --user daemon-reload; systemctl --user restart iris.service")
	pid = m.serves(pid)
	syscall.Kill(pid, syscall.SIGSTOP) // it hangs
	m.serves(pid)
	if out := m.sh("iris doctor || true"); !strings.Contains(out, "iris.socket is enabled, iris.service enabled") {
		t.Errorf("got %s", out)
	}
}
