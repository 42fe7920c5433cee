package claudetest

import (
	"os"
	"testing"
)

// Real returns the path of the real Claude Code, which the environment gives as
// IRIS_CLAUDE. Without it the test is skipped.
func Real(t testing.TB) string {
	t.Helper()
	path := os.Getenv("IRIS_CLAUDE")
	if path == "" {
		t.Skip("SKIPPED: needs Claude Code: set IRIS_CLAUDE to the path of the program")
	}
	return path
}
