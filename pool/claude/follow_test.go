package claude

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

func newFollower(t *testing.T) *Follower {
	t.Helper()
	f := NewFollower()
	t.Cleanup(f.Close)
	return f
}

func TestFollowerKicks(t *testing.T) {
	f := newFollower(t)
	path := filepath.Join(t.TempDir(), "x")
	file, _ := os.Create(path)
	defer file.Close()
	kicks := make(chan struct{}, 100)
	remove := f.add(path, func() { kicks <- struct{}{} })
	<-kicks // what was there before
	for range 3 {
		file.WriteString("more")
		select {
		case <-kicks:
		case <-time.After(patience):
			t.Fatal("no kick")
		}
	}
	remove()
	if f.kickAll(false) {
		t.Error("still there")
	}
}

// A file that cannot be watched is polled, and only that one.
func TestFollowerPolls(t *testing.T) {
	f := newFollower(t)
	dir := t.TempDir()
	watched := filepath.Join(dir, "watched")
	os.WriteFile(watched, nil, 0o600)
	var a, b atomic.Int32
	f.add(watched, func() { a.Add(1) })
	remove := f.add(filepath.Join(dir, "not", "there"), func() { b.Add(1) })
	eventually(t, "it is polled", func() bool { return b.Load() > 3 })
	if a.Load() != 1 {
		t.Errorf("the watched one was kicked %d times", a.Load())
	}
	if err := f.Polls(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is polled because of %v", err)
	}
	remove()
	if err := f.Polls(); f.kickAll(true) || err != nil {
		t.Errorf("still polled: %v", err)
	}
}

// When the system has dropped events, every spool is read.
func TestFollowerOverflow(t *testing.T) {
	f := newFollower(t)
	path := filepath.Join(t.TempDir(), "x")
	os.WriteFile(path, nil, 0o600)
	var n atomic.Int32
	f.add(path, func() { n.Add(1) })
	f.watcher.Errors <- fsnotify.ErrEventOverflow
	eventually(t, "it is kicked", func() bool { return n.Load() == 2 })
}

// Each of two who follow one file is told until it has enough.
func TestFollowerSharesAFile(t *testing.T) {
	f := newFollower(t)
	path := filepath.Join(t.TempDir(), "x")
	file, _ := os.Create(path)
	defer file.Close()
	var a, b atomic.Int32
	removeA := f.add(path, func() { a.Add(1) })
	removeB := f.add(path, func() { b.Add(1) })
	file.WriteString("more")
	eventually(t, "both are told", func() bool { return a.Load() > 1 && b.Load() > 1 })
	removeA()
	before := a.Load()
	told := b.Load()
	file.WriteString("more")
	eventually(t, "the other is told", func() bool { return b.Load() > told })
	if a.Load() != before {
		t.Error("the first was told after its end")
	}
	removeB()
	if f.kickAll(false) {
		t.Error("still there")
	}
}
