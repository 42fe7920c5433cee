package claude

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A program that writes without end takes no more memory than one that answers.
func TestExamineKeepsTheBeginning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "claude")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nwhile :; do echo 0123456789012345678901234567890123456789; done\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	o := Options{Dir: "/", Env: []string{"PATH=/usr/bin:/bin"}}
	out, err := o.query(ctx, path, "--version")
	if err == nil || len(out) == 0 || len(out) > mostSaid {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}
