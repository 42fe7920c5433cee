package claude

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/pool"
)

func TestStartIsMute(t *testing.T) {
	r := fakeRig(t, "--fake-mute")
	r.o.StartTimeout = 200 * time.Millisecond
	_, err := Start(context.Background(), r.o)
	start, ok := errors.AsType[*pool.StartError](err)
	if !ok || start.Permanent || !strings.Contains(err.Error(), "not ready after 200ms") {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(r.o.Spools); len(left) > 0 || len(below(r.o.ID, 0)) > 0 {
		t.Errorf("left: %v, %v", left, below(r.o.ID, 0))
	}
}

// An update removes the program and writes it anew: a start waits for that.
func TestStartWaitsForAnUpdate(t *testing.T) {
	program := fakeRig(t).o.Command
	for _, c := range []struct {
		name  string
		ran   bool
		first func(path string) (again func())
	}{
		{"missing", true, func(string) func() { return func() {} }},
		{"half-written", true, func(path string) func() {
			put(t, "", path)
			os.Chmod(path, 0o755)
			return func() { os.Remove(path) }
		}},
		{"not yet executable", true, func(path string) func() {
			put(t, "", path)
			return func() { os.Remove(path) }
		}},
		{"being written", false, func(path string) func() {
			put(t, "#!/bin/sh\n", path)
			os.Chmod(path, 0o755)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			return func() { f.Close(); os.Remove(path); time.Sleep(2 * updateLook) } // missing, although it never ran
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := fakeRig(t)
			r.o.Command, r.o.Ran = filepath.Join(t.TempDir(), filepath.Base(program)), c.ran
			again := c.first(r.o.Command)
			var wg sync.WaitGroup
			wg.Go(func() {
				time.Sleep(2 * updateLook)
				again()
				if err := os.Symlink(program, r.o.Command); err != nil {
					t.Error(err)
				}
			})
			defer wg.Wait()
			ask(t, r.start(), "echo:x", "x")
		})
	}
}

// While the program is away the agent goes on; another program replaces it.
func TestStaleByProgram(t *testing.T) {
	r := fakeRig(t)
	program := r.o.Command
	r.o.Command = filepath.Join(t.TempDir(), filepath.Base(program))
	os.Symlink(program, r.o.Command)
	p := r.start()
	want := func(want string) {
		t.Helper()
		if got := p.Stale(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	want("")
	os.Remove(r.o.Command)
	want("")
	put(t, "", r.o.Command)
	want("")
	os.Chmod(r.o.Command, 0o755)
	want("")
	put(t, "#!/bin/sh\n", r.o.Command)
	want("program changed")
	os.Remove(r.o.Command)
	os.Symlink(program, r.o.Command)
	want("")
}
