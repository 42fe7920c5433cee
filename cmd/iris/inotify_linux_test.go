package main

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// In a user namespace of its own the daemon gets no inotify instance, as on a machine where
// other programs have taken all of them.
func TestAgentsAnswerWithoutInotify(t *testing.T) {
	t.Parallel()
	h := newHouse(t, irisPath(t), "")
	script := `echo 0 > /proc/sys/user/max_inotify_instances || exit 77
"$0" send echo hello
"$0" send echo@other "/sleep 10ms again"
"$0" doctor
"$0" daemon stop`
	cmd := exec.Command("unshare", "--user", "--map-root-user", "sh", "-c", script, h.iris)
	cmd.Env = h.env
	out, err := cmd.CombinedOutput()
	if err != nil && (cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 77 || strings.HasPrefix(string(out), "unshare: ")) {
		t.Skipf("no user namespace to use up inotify in: %v: %s", err, out)
	}
	want := `(?s)^hello\nagain\n.*\nwarn  daemon +the output of agents is polled, .* used up inotify \(fs.inotify.max_user_instances = \d+\)\n +fix: sudo sysctl fs.inotify.max_user_instances=\d+ && iris daemon restart\n`
	if !regexp.MustCompile(want).Match(out) {
		t.Errorf("got %s", out)
	}
}
