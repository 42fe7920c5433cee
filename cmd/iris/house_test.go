package main

import (
	"os"
	"os/exec"
	"testing"
)

// irisPath is this test binary, which is iris by that name.
func irisPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("iris")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// need skips a test where a program is missing. Where the real Claude Code is
// required, so are they.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("IRIS_REQUIRE_CLAUDE") != "" {
				t.Fatalf("%s is not installed", p)
			}
			t.Skipf("%s is not installed", p)
		}
	}
}
