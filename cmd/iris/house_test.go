package main

import (
	"cmp"
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

// needs returns the first of some programs of the system's. Where one is missing the
// test is skipped; it fails where the real Claude Code is required, and so are they.
func needs(t *testing.T, programs ...string) (first string) {
	t.Helper()
	for _, p := range programs {
		path, err := exec.LookPath(p)
		if err != nil && os.Getenv("IRIS_REQUIRE_CLAUDE") != "" {
			t.Fatalf("%s is not installed", p)
		}
		if err != nil {
			t.Skipf("SKIPPED: install %s to run this", p)
		}
		first = cmp.Or(first, path)
	}
	return first
}
