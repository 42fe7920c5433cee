package claudetest

import (
	"os"
	"testing"
)

// Real returns the path of the real Claude Code, which the environment gives as
// IRIS_CLAUDE. Without it the test is skipped, or fails where IRIS_REQUIRE_CLAUDE
// is 1.
func Real(t testing.TB) string {
	t.Helper()
	path := os.Getenv("IRIS_CLAUDE")
	if path == "" && os.Getenv("IRIS_REQUIRE_CLAUDE") == "1" {
		t.Fatal("IRIS_CLAUDE is not set")
	}
	if path == "" {
		t.Skip("SKIPPED: set IRIS_CLAUDE to the real program to run this")
	}
	return path
}
