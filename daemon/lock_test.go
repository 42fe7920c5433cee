package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestLockHasOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "daemon.lock")
	first, err := acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.record("/run/a/very/long/path/iris.sock"); err != nil {
		t.Fatal(err)
	}
	if _, err := acquire(path); !errors.Is(err, ErrRunning) {
		t.Fatalf("second holder: got %v, want ErrRunning", err)
	}
	first.release()
	second, err := acquire(path)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	defer second.release()
	if err := second.record("/run/b"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "/run/b\n" {
		t.Fatalf("got %q, %v, want only the new path", got, err)
	}
}

func TestLockIsNotFollowedThroughALink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "elsewhere")
	if err := os.Symlink(target, filepath.Join(dir, "daemon.lock")); err != nil {
		t.Fatal(err)
	}
	if l, err := acquire(filepath.Join(dir, "daemon.lock")); err == nil {
		l.release()
		t.Fatal("a symbolic link was taken for the lock")
	}
	if _, err := os.Lstat(target); err == nil {
		t.Fatal("the link's target was made")
	}
}
