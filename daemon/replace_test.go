package daemon

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
)

func TestDaemonThatIsNotStartedForItCannotBeReplaced(t *testing.T) {
	d := startDaemon(t, "")
	_, err := call[struct{}](d, ipc.MethodReplace, ipc.Restart{Program: "/bin/true"})
	wantCode(t, err, ipc.CodeFailed, "cannot be replaced")
	if st := mustCall[ipc.Status](d, ipc.MethodStatus, nil); st.Generation != 1 {
		t.Errorf("generation %d", st.Generation)
	}
}

// startInside runs a daemon until the test ends. It also returns the Daemon itself and its
// context.
func startInside(t *testing.T, toml string) (context.Context, *Daemon, *testDaemon) {
	t.Helper()
	return startInsideTo(t, toml, io.Discard)
}

// startInsideTo is startInside with another stderr.
func startInsideTo(t *testing.T, toml string, stderr io.Writer) (context.Context, *Daemon, *testDaemon) {
	t.Helper()
	d := startDaemon(t, toml)
	d.stop()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dm := newDaemon(Options{Paths: d.paths, Version: "test", Stderr: stderr, Ready: w})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	wg.Go(func() {
		if err := dm.lifetime(ctx); err != nil {
			t.Error(err)
		}
	})
	if line, _ := io.ReadAll(r); string(line) != "ok\n" {
		t.Fatalf("daemon did not start: %q", line)
	}
	return ctx, dm, d
}

// The steps closeAcceptor and quiesce are undone if the replacement fails.
func TestDaemonServesOnAfterAReplacementThatFailed(t *testing.T) {
	ctx, dm, old := startInside(t, "")
	if r, err := ask(old, "echo", "one"); err != nil || r.Text != "one" {
		t.Fatal(err)
	}
	pid := mustCall[ipc.ProcessList](old, ipc.MethodList, nil).Processes[0].PID
	for range 2 {
		tryInVain(ctx, t, dm, old)
	}
	if r, err := ask(old, "echo", "two"); err != nil || r.Text != "two" {
		t.Fatal(err)
	}
	if now := mustCall[ipc.ProcessList](old, ipc.MethodList, nil).Processes[0].PID; now != pid {
		t.Errorf("the agent was %d and is %d", pid, now)
	}
	os.Remove(old.paths.Socket) // still watched
	eventually(t, "the socket", func() bool { _, err := os.Lstat(old.paths.Socket); return err == nil })
}

// tryInVain makes the steps of replace before the journal is closed, and then undoes them. The
// context is the daemon's.
func tryInVain(ctx context.Context, t *testing.T, dm *Daemon, d *testDaemon) {
	t.Helper()
	for _, f := range []func(context.Context) error{dm.quiesce, dm.canPause} {
		if err := f(ctx); err != nil {
			t.Fatal(err)
		}
	}
	answered := make(chan error, 1)
	c := d.client()
	cut := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		cut <- c.Call(ctx, ipc.MethodSend, ipc.Send{Team: "echo", Text: "/sleep 1ms waits"}, nil)
	})
	eventually(t, "the message", func() bool { return len(dm.pool.Snapshot().Waiting) == 1 })
	socket, err := dm.closeAcceptor()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-cut; !errors.Is(err, ipc.Errorf(ipc.CodeCancelled, "")) && !errors.Is(err, ipc.ErrLost) {
		t.Errorf("the call was answered by %v", err)
	}
	if _, err := dm.pauseAgents(ctx); err != nil {
		t.Fatal(err)
	}
	wg.Go(func() {
		_, err := call[ipc.Status](d, ipc.MethodStatus, nil)
		answered <- err
	})
	select {
	case err := <-answered:
		t.Errorf("answered while nobody serves: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	dm.unpause()
	dm.reopenAcceptor(ctx, socket)
	dm.pool.Thaw()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestTrialReadsConfigurationAndJournal(t *testing.T) {
	d := startDaemon(t, "")
	dir := t.TempDir()
	path := filepath.Join(dir, filepath.Base(d.paths.Journal))
	try := func() (string, error) {
		var out strings.Builder
		err := Try(Options{Paths: d.paths}, dir, &out)
		return out.String(), err
	}
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	j.SetSession("k", journal.Session{ID: "x"})
	j.Close()
	if said, err := try(); err != nil || said != "handover 1\n" {
		t.Errorf("got %q, %v", said, err)
	}
	if err := os.WriteFile(path, []byte("no journal at all, but long enough to be looked at"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := try(); err == nil || said != "" {
		t.Errorf("got %q", said)
	}
	os.Remove(path)
	d.configure("max_processes = \"many\"")
	if _, err := try(); err == nil || !strings.Contains(err.Error(), "max_processes") {
		t.Errorf("got %v", err)
	}
	d.configure("")
}

func TestHandoffThatCannotBeReadIsNone(t *testing.T) {
	for _, c := range []struct{ text, why string }{
		{"", "JSON"}, {"nonsense", "character"}, {`{"Format":2}`, "format 2"}, {`{"Format":1}`, "descriptor 0"},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := syscall.Dup(int(f.Fd()))
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		h, err := ReadHandoff(fd)
		if h != nil || err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%q: got %v, %v", c.text, h, err)
		}
		if h.Descriptors() != nil || h.pids() != nil {
			t.Error("something is to be kept")
		}
	}
}
