// Package systest says what a test needs of the machine. A test that lacks
// something is skipped at once, and its last word says what: with nothing but Go,
// "go test ./..." is green for everybody. CI has all of it, and goes wrong if a test
// was skipped in each of its runs.
package systest

import (
	"cmp"
	"os"
	"os/exec"
	"testing"
)

// Needs skips a test where one of these programs is not in the PATH. It returns the path
// of the first.
func Needs(t testing.TB, programs ...string) (first string) {
	t.Helper()
	for _, p := range programs {
		path, err := exec.LookPath(p)
		if err != nil {
			t.Skipf("SKIPPED: needs %s, which is not installed", p)
		}
		first = cmp.Or(first, path)
	}
	return first
}

// NeedsFile skips a test where a file that comes with some package is missing.
func NeedsFile(t testing.TB, path, from string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: needs %s, which is not installed: %v", from, err)
	}
}

// NeedsRoot skips a test where its user is not root. CI runs such a test once more as
// root.
func NeedsRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root")
	}
}

// NeedsUser skips a test where its user is root, who may do everything.
func NeedsUser(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("SKIPPED: needs a user that is not root")
	}
}
