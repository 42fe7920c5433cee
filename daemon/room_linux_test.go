package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iris/config/sys/systest"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
)

// alone runs a test in a new process, for the limits of a process. It reports whether this is
// that process.
func alone(t *testing.T) bool {
	t.Helper()
	return systest.Alone(t, nil)
}

// onSmallDisk is alone, with the files of the test on a file system of this size.
func onSmallDisk(t *testing.T, size string) bool {
	t.Helper()
	if !systest.Alone(t, &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}) {
		return false
	}
	dir, err := os.MkdirTemp("", "d") // short: the socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("SKIPPED: needs a file system of its own: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	t.Setenv("TMPDIR", dir)
	return true
}

// onTmpfs puts the daemon's files in memory, where space that is reserved past the end of a
// file counts against the limit. On other file systems it does not.
func onTmpfs(t *testing.T) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		t.Skipf("SKIPPED: needs a file system in memory at /dev/shm: %v", err)
	}
	t.Setenv("TMPDIR", "/dev/shm")
}

// fillDisk makes the disk full for this daemon, and returns a function that makes space. Live
// agents are not affected.
func fillDisk(d *testDaemon) (fix func()) {
	d.t.Helper()
	fix = systest.LimitFiles(d.t, 8<<10)
	_, err := call[ipc.MessageState](d, ipc.MethodSubmit, ipc.Send{Team: "echo", Text: "full"})
	wantCode(d.t, err, ipc.CodeFull, "room")
	return fix
}

// closeDoors makes every open of a file fail.
func closeDoors(t *testing.T) (fix func()) {
	t.Helper()
	return systest.Limit(t, unix.RLIMIT_NOFILE, 3)
}

func TestMessageWaitsWhileThereIsNoRoomForItsAnswer(t *testing.T) {
	if !alone(t) {
		return
	}
	onTmpfs(t)
	d := startDaemon(t, fakeTeam(t, "api"))
	eventually(t, "the first growth of the journal", func() bool {
		submit(d, ipc.Send{Team: "echo", Text: "warm"})
		info, err := os.Stat(d.paths.Journal)
		return err == nil && info.Size() > 1<<20
	})
	fix := systest.LimitFiles(t, 512<<10) // the journal has that, the spool would take more
	waits := submit(d, ipc.Send{Team: "api", Text: "echo:x"})
	eventually(t, "the word of it", func() bool {
		return strings.Contains(strings.Join(mustCall[ipc.Status](d, ipc.MethodStatus, struct{}{}).Warnings, "|"), "no room")
	})
	if m := show(d, waits.ID); m.State != "queued" {
		t.Errorf("got %s: %s", m.State, m.Error)
	}
	fix()
	if end := awaitEnd(d, waits.ID); end.State != "done" {
		t.Errorf("got %+v: %s", end, show(d, waits.ID).Error)
	}
	if st := mustCall[ipc.Status](d, ipc.MethodStatus, struct{}{}); len(st.Warnings) > 0 {
		t.Errorf("it still says %s", st.Warnings)
	}
}

// While the disk is full, an accepted message waits: it neither runs nor fails.
func TestMessageWhoseAgentComesUpOnAFullDiskWaits(t *testing.T) {
	if !alone(t) {
		return
	}
	gated, open := gate(t)
	ledger := filepath.Join(t.TempDir(), "ledger")
	d := startDaemon(t, fakeTeam(t, "slow", fmt.Sprintf("args = [%q, %q]", "--fake-slow-start=@"+gated, "--fake-ledger="+ledger)))
	if _, err := ask(d, "echo", "warm"); err != nil {
		t.Fatal(err)
	}
	waits := submit(d, ipc.Send{Team: "slow", Text: "echo:x"})
	eventually(t, "the start of its agent, which knows no limit", func() bool { return starts(t, ledger) == 1 })
	fix := fillDisk(d)
	open()
	eventually(t, "an agent that is ready", func() bool {
		return slices.ContainsFunc(mustCall[ipc.ProcessList](d, ipc.MethodList, nil).Processes, func(p ipc.Process) bool {
			return p.Team == "slow" && p.State != "starting"
		})
	})
	fix()
	if end := awaitEnd(d, waits.ID); end.State != "done" {
		t.Errorf("got %+v: %s", end, show(d, waits.ID).Error)
	}
}

func TestMessageWhoseAgentWouldStartOnAFullDiskWaits(t *testing.T) {
	if alone(t) {
		waitsForItsAgent(t, fillDisk, "make room on its disk")
	}
}

func TestMessageWhoseAgentHasNoDescriptorsWaits(t *testing.T) {
	if alone(t) {
		waitsForItsAgent(t, func(d *testDaemon) func() { return closeDoors(d.t) }, "no agent is started: ")
	}
}

// waitsForItsAgent sends a message while no agent can be started, which status explains.
func waitsForItsAgent(t *testing.T, bar func(*testDaemon) (fix func()), why string) {
	t.Helper()
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, "max_processes = 1\n"+toml+fakeTeam(t, "other"))
	if _, err := ask(d, "echo", "warm"); err != nil {
		t.Fatal(err)
	}
	gated, open := gate(t)
	long := submit(d, ipc.Send{Team: "api", Text: "sleep:@" + gated})
	waits := submit(d, ipc.Send{Team: "other", Text: "echo:x"})
	eventually(t, "the turn", func() bool { return len(begun(t, ledger)) == 1 })
	c := accepted(d)
	fix := bar(d)
	open()
	awaitAgentOf(t, c, "other")
	var st ipc.Status
	if err := c.Call(t.Context(), ipc.MethodStatus, nil, &st); err != nil || !strings.Contains(strings.Join(append(st.Warnings, st.Journal.Error), "|"), why) {
		t.Errorf("status says %v, want %q: %v", st, why, err)
	}
	fix()
	if failed := details(d, "process-error"); len(failed) > 0 {
		t.Errorf("it was not waited for room: %q", failed)
	}
	for _, id := range []string{long.ID, waits.ID} {
		if end := awaitEnd(d, id); end.State != "done" {
			t.Errorf("got %+v: %s", end, show(d, id).Error)
		}
	}
}

// accepted returns a client whose connection is already accepted: it needs no more
// descriptors, nor does the daemon for it.
func accepted(d *testDaemon) *ipc.Client {
	d.t.Helper()
	c := d.client()
	if err := c.Call(d.t.Context(), ipc.MethodStatus, nil, new(ipc.Status)); err != nil {
		d.t.Fatal(err)
	}
	return c
}

// awaitAgentOf waits until the only agent is one of this team, and gives its start time to
// fail.
func awaitAgentOf(t *testing.T, c *ipc.Client, team string) {
	t.Helper()
	eventually(t, "the start of the other agent", func() bool {
		var list ipc.ProcessList
		if err := c.Call(t.Context(), ipc.MethodList, nil, &list); err != nil {
			t.Fatal(err)
		}
		return len(list.Processes) == 1 && list.Processes[0].Team == team
	})
	time.Sleep(500 * time.Millisecond)
}

// No turn begins or ends before the daemon is up: nothing waits for space on the disk until
// then, and a message would be left to the next daemon.
func TestMessageThatIsTakenUpOnAFullDiskIsNotLeft(t *testing.T) {
	if !alone(t) {
		return
	}
	toml, ledger := ledgerTeam(t, "api")
	d := startDaemon(t, toml)
	if _, err := ask(d, "api", "echo:before"); err != nil {
		t.Fatal(err)
	}
	d.stop()
	j, err := journal.Open(d.paths.Journal)
	if err != nil {
		t.Fatal(err)
	}
	waits := journal.New{ID: "zzm0000000000000", Team: "api", Body: []byte("sleep:200ms"), At: time.Now()}
	if _, err := j.Accept(waits); err != nil {
		t.Fatal(err)
	}
	j.Close()

	dm := newDaemon(Options{Paths: d.paths, Version: "test", Stderr: io.Discard})
	ctx, quit := context.WithCancel(t.Context())
	dm.life.quit, dm.life.tidy = quit, time.AfterFunc(time.Hour, func() {})
	defer dm.end()
	if err := dm.open(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the agent", func() bool {
		for _, p := range dm.pool.Snapshot().Processes {
			if p.State == pool.Busy {
				return true
			}
		}
		return false
	})
	time.Sleep(100 * time.Millisecond)
	fix := systest.LimitFiles(t, 8<<10)
	time.Sleep(400 * time.Millisecond)
	fix()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer quit()
	wg.Go(func() { dm.run(ctx) })
	eventually(t, "room", func() bool { return dm.store.WaitsFor() == "" })
	eventually(t, "the end", func() bool { return show(d, waits.ID).State == "done" })
	if got := begun(t, ledger); len(got) != 2 {
		t.Errorf("begun: %q", got)
	}
}

// Output that is kept for clients that may reconnect takes space too. It is dropped first.
func TestFullDiskKeepsNoOutputForLater(t *testing.T) {
	if !alone(t) {
		return
	}
	d := startDaemon(t, fakeTeam(t, "api"))
	if _, err := ask(d, "api", "echo:warm"); err != nil {
		t.Fatal(err)
	}
	gated, open := gate(t)
	id := submit(d, ipc.Send{Team: "api", Text: "slow:20:@" + gated}).ID
	eventually(t, "the turn", func() bool { return show(d, id).State == "running" })
	before := openSpools(d)
	first := new(streamed)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first.line = cancel
	c := d.client()
	c.OnNotify = first.notify
	if err := c.Call(ctx, ipc.MethodStream, ipc.Stream{ID: id, Partial: true}, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	c.Close()
	eventually(t, "the end of the call", func() bool { return mustCall[ipc.Status](d, ipc.MethodStatus, nil).Clients == 1 })
	if n := openSpools(d); n != before+1 {
		t.Errorf("%d spools are open, want one more than %d", n, before)
	}
	fix := fillDisk(d)
	eventually(t, "the end of what is kept", func() bool { return openSpools(d) == before })
	fix()
	open()
	if end := awaitEnd(d, id); end.State != "done" {
		t.Errorf("got %+v", end)
	}
	if rest, _, err := stream(d, ipc.Stream{ID: id, After: first.seqs[0], Partial: true}); err != nil || len(rest.gaps) != 1 || len(rest.lines) != 0 {
		t.Errorf("got %d lines, gaps %v, %v", len(rest.lines), rest.gaps, err)
	}
}

// openSpools counts the descriptors of this process that are open on spools.
func openSpools(d *testDaemon) (n int) {
	d.t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, d.paths.Spool+"/") {
			n++
		}
	}
	return n
}

// A transcript that cannot be looked for does not count as gone.
func TestConversationOutlivesAWantOfDescriptors(t *testing.T) {
	if !alone(t) {
		return
	}
	toml := "max_processes = 1\non_resume_failure = \"fresh\"\n" + fakeTeam(t, "api") + fakeTeam(t, "other")
	d := startDaemon(t, toml)
	if _, err := ask(d, "api", "echo:one"); err != nil {
		t.Fatal(err)
	}
	gated, open := gate(t)
	long := submit(d, ipc.Send{Team: "other", Text: "slow:8:@" + gated})
	eventually(t, "the turn", func() bool { return show(d, long.ID).State == "running" })
	waits := submit(d, ipc.Send{Team: "api", Text: "count"})
	c := accepted(d)
	fix := closeDoors(t)
	open()
	awaitAgentOf(t, c, "api")
	fix()
	if end := awaitEnd(d, waits.ID); end.State != "done" || answer(d, waits.ID) != "2" {
		t.Errorf("got %+v", show(d, waits.ID))
	}
}

// A client that requests a replacement gets the error even if the socket cannot be handed
// over: its connection is not cut off.
func TestReplacementWithoutDescriptorsIsRefused(t *testing.T) {
	if !alone(t) {
		return
	}
	ctx, dm, d := startInside(t, "")
	program, err := openCandidate("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	r := replacement{program: program, refused: make(chan error, 1)}
	fix := closeDoors(t)
	err = dm.replace(ctx, r)
	fix()
	if err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.refused:
		if err == nil || !strings.Contains(err.Error(), "socket") {
			t.Errorf("got %v", err)
		}
	default:
		t.Error("nobody was told")
	}
	if r, err := ask(d, "echo", "on"); err != nil || r.Text != "on" {
		t.Error(err)
	}
}
