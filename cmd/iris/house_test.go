package main

import (
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
