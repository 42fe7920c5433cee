package systest

import (
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
)

// Alone runs a test again in a process of its own, for the limits and the file systems
// of a process, with these attributes. It reports whether this is that process; in the
// other one the test ends as it did there.
func Alone(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	const name = "IRIS_TEST_ALONE"
	if os.Getenv(name) == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v")
	cmd.SysProcAttr = attr
	cmd.Env = append(os.Environ(), name+"="+t.Name())
	out, err := cmd.CombinedOutput()
	switch {
	case cmd.Process == nil && attr != nil:
		t.Skip("SKIPPED: needs a user namespace of its own:", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case skipped.Match(out):
		t.Skipf("%s", skipped.FindSubmatch(out)[1])
	}
	return false
}

// skipped is how a skipped test ends: its last words and its end.
var skipped = regexp.MustCompile(`(?m)^    \S+: (.*)\n--- SKIP: `)
