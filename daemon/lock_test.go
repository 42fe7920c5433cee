package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"iris/config"
	"iris/ipc"
)

func TestLockHasOneHolder(t *testing.T) {
	waitFor(t, 100*time.Millisecond)
	path := filepath.Join(t.TempDir(), "daemon.lock")
	first, err := acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.record("/run/a/very/long/path/iris.sock", "/run/another/long/path/iris.sock"); err != nil {
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
	want := config.LockRecord{Socket: "/run/b", Place: "/run/c"}
	if err := second.record(want.Socket, want.Place); err != nil {
		t.Fatal(err)
	}
	if got := config.ReadLock(path); got != want {
		t.Fatalf("got %+v, want only the new record %+v", got, want)
	}
}

// waitFor sets lockWait for a test.
func waitFor(t *testing.T, d time.Duration) {
	usual := lockWait
	t.Cleanup(func() { lockWait = usual })
	lockWait = d
}

func TestDaemonThatStaysRefusesAnotherAtOnce(t *testing.T) {
	waitFor(t, 2*patience)
	d := startDaemon(t, "")
	within(t, "the refusal", func() {
		err := Run(t.Context(), Options{Paths: d.paths, Stderr: io.Discard})
		if !errors.Is(err, ErrRunning) {
			t.Errorf("got %v, want ErrRunning", err)
		}
	})
}

func TestDaemonThatLeavesIsWaitedFor(t *testing.T) {
	waitFor(t, 2*patience)
	d := startDaemon(t, fakeTeam(t, "api"))
	gated, open := gate(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := call[ipc.Reply](d, ipc.MethodSend, ipc.Send{Team: "api", Text: "sleep:@" + gated}); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the turn", func() bool { return mustCall[ipc.Status](d, ipc.MethodStatus, nil).Journal.Running == 1 })
	d.quit()
	eventually(t, "the end of service", func() bool { return mustCall[ipc.Status](d, ipc.MethodStatus, nil).Stopping })
	next := &testDaemon{t: t, paths: d.paths}
	defer time.AfterFunc(time.Second, open).Stop() // when the next one waits
	next.run()
	wg.Wait()
	next.stop()
}

// A daemon that has got a signal may answer once more before it notices.
func TestDaemonIsAskedTwiceWhetherItStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "private")
	mustMkdir(t, dir)
	t.Chdir(dir) // the socket's path is limited
	first, err := acquire("daemon.lock")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.record("s", "s"); err != nil {
		t.Fatal(err)
	}
	asked := 0
	srv := ipc.NewServer(ipc.Options{})
	srv.Handle(ipc.MethodStatus, func(context.Context, *ipc.Call) (any, error) {
		if asked++; asked == 2 {
			first.release()
		}
		return ipc.Status{Stopping: asked > 1}, nil
	})
	ln, err := ipc.Listen("s")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(ctx, ln) })
	defer wg.Wait()
	defer cancel()
	second, err := acquire("daemon.lock")
	if err != nil {
		t.Fatalf("got %v, want the lock", err)
	}
	second.release()
}

// A daemon that has the lock and does not answer may be about to end. A starting daemon waits
// for the lock, and does not spend the rest of lockWait on the missing answer.
func TestSilentDaemonIsWaitedFor(t *testing.T) {
	waitFor(t, 2*patience)
	dir := filepath.Join(t.TempDir(), "private")
	mustMkdir(t, dir)
	t.Chdir(dir) // the socket's path is limited
	ln, err := net.Listen("unix", "s")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	path := filepath.Join(dir, "daemon.lock")
	first, err := acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.record("s", "s"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		asked, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { asked.Close() })
		first.release()
	})
	within(t, "the lock", func() {
		second, err := acquire(path)
		if err != nil {
			t.Errorf("got %v, want the lock", err)
			return
		}
		second.release()
	})
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

// A daemon that was just killed may have the lock for a moment: that is no reason to leave its
// orphans to it.
func TestOrphansAreAwaitedWhenADyingDaemonLetsGo(t *testing.T) {
	p := config.Paths{Lock: filepath.Join(t.TempDir(), "lock")}
	dying, err := acquireNow(p.Lock)
	if err != nil {
		t.Fatal(err)
	}
	gone := time.AfterFunc(100*time.Millisecond, dying.release)
	defer gone.Stop()
	s := orphanWait{AwaitOptions: AwaitOptions{Paths: p, Hold: func() (func(), error) { return func() {}, nil }}}
	release, err := s.claim()
	if err != nil || release == nil {
		t.Fatalf("left to the daemon that is gone: %v", err)
	}
	release()
}
