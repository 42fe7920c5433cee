package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// A manager is a service manager for a test.
type manager struct {
	t    *testing.T
	path string
	conn *net.UnixConn
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, path, conn}
}

// next returns the lines of the next notice, nil if none comes within d.
func (m *manager) next(d time.Duration) []string {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(d))
	buf := make([]byte, 4096)
	n, err := m.conn.Read(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.Split(string(buf[:n]), "\n")
}

// forget drops the notices that have arrived, and returns their number.
func (m *manager) forget() (n int) {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Time{})
	raw, err := m.conn.SyscallConn()
	if err == nil {
		err = raw.Read(func(fd uintptr) bool {
			for buf := make([]byte, 4096); ; n++ {
				if _, _, err := syscall.Recvfrom(int(fd), buf, syscall.MSG_DONTWAIT); err != nil {
					return true
				}
			}
		})
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

// await returns the first notice that contains a line.
func (m *manager) await(line string) []string {
	m.t.Helper()
	var seen [][]string
	for {
		notice := m.next(patience)
		if notice == nil {
			m.t.Fatalf("no %s within %v after %q", line, patience, seen)
		}
		if slices.Contains(notice, line) {
			return notice
		}
		seen = append(seen, notice)
	}
}

// startManaged runs a daemon with a manager until stop is called or the test ends.
func startManaged(t *testing.T, toml string, s Service) (dm *Daemon, d *testDaemon) {
	t.Helper()
	d = startDaemon(t, toml)
	d.stop()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dm = newDaemon(Options{Paths: d.paths, Version: "test", Stderr: io.Discard, Ready: w, Service: s})
	ctx, quit := context.WithCancel(context.Background())
	d.quit = quit
	d.wg.Go(func() { d.err = dm.lifetime(ctx) })
	if line, _ := io.ReadAll(r); string(line) != "ok\n" {
		t.Fatalf("daemon did not start: %q", line)
	}
	return dm, d
}

func TestServiceManagerIsToldOfADaemonsLife(t *testing.T) {
	m := newManager(t)
	_, d := startManaged(t, "drain_timeout = \"3s\"\nstop_grace = \"1s\"\n", Service{notices: m.path})
	if got := m.next(patience); !slices.Equal(got, []string{"READY=1", "STATUS=0 of at most 10 agents, 0 in a turn; 0 messages wait"}) {
		t.Errorf("got %q first", got)
	}
	d.quit()
	if got := m.await("STOPPING=1"); !slices.Contains(got, "EXTEND_TIMEOUT_USEC=17000000") {
		t.Errorf("got %q", got)
	}
}

func TestServiceManagerIsToldWhyADaemonDoesNotStart(t *testing.T) {
	m := newManager(t)
	d := startDaemon(t, "")
	err := Run(t.Context(), Options{Paths: d.paths, Stderr: io.Discard, Service: Service{notices: m.path}})
	if !errors.Is(err, ErrRunning) {
		t.Errorf("got %v", err)
	}
	if got := m.next(patience); !slices.Equal(got, []string{"STATUS=not started: " + ErrRunning.Error() + " at " + d.paths.Socket}) {
		t.Errorf("got %q", got)
	}
}

// locks returns the locks that a hanging daemon would hold.
var locks = map[string]func(d *Daemon) (lock, unlock func()){
	"pool": func(d *Daemon) (func(), func()) {
		mu := field[sync.Mutex, pool.Pool[*claude.Process]](d.pool, "mu")
		return mu.Lock, mu.Unlock
	},
	"committer": func(d *Daemon) (func(), func()) {
		mu := field[sync.RWMutex, journal.Journal](d.store.Journal, "life")
		return mu.Lock, mu.Unlock
	},
}

// field returns an unexported field.
func field[F, S any](of *S, name string) *F {
	f := reflect.ValueOf(of).Elem().FieldByName(name)
	return (*F)(unsafe.Pointer(f.UnsafeAddr()))
}

// A daemon gives signs of life, and none while it hangs.
func TestWatchdogHearsOfADaemonOnlyWhileItLives(t *testing.T) {
	for name, find := range locks {
		t.Run(name, func(t *testing.T) {
			m := newManager(t)
			dm, _ := startManaged(t, "", Service{notices: m.path, watchdog: 40 * time.Millisecond})
			for range 5 {
				m.await("WATCHDOG=1")
			}
			lock, unlock := find(dm)
			lock()
			m.forget()
			time.Sleep(500 * time.Millisecond)
			// One notice may have been on its way.
			if n := m.forget(); n > 1 {
				t.Errorf("%d signs of life from a daemon that hangs", n)
			}
			unlock()
			m.await("WATCHDOG=1")
		})
	}
}

func TestServiceIsReadAndTakenOutOfTheEnvironment(t *testing.T) {
	me, other := strconv.Itoa(os.Getpid()), "1"
	for name, c := range map[string]struct {
		env  map[string]string
		want Service
		bad  bool
	}{
		"none":      {nil, Service{}, false},
		"all":       {map[string]string{"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": me, "LISTEN_FDS": "1", "LISTEN_PID": me, "LISTEN_FDNAMES": "iris.socket"}, Service{"@x", 2 * time.Second, 3}, false},
		"another's": {map[string]string{"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": other, "LISTEN_FDS": "1", "LISTEN_PID": other}, Service{}, false},
		"again":     {map[string]string{"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000"}, Service{"/x", time.Millisecond, 0}, false},
		"two":       {map[string]string{"LISTEN_FDS": "2", "LISTEN_PID": me}, Service{}, true},
		"nonsense":  {map[string]string{"WATCHDOG_USEC": "-1", "LISTEN_FDS": "x", "LISTEN_PID": me}, Service{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			names := []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}
			for _, n := range names {
				t.Setenv(n, c.env[n])
			}
			got, err := TakeService()
			if got != c.want || (err != nil) != c.bad {
				t.Errorf("got %+v, %v", got, err)
			}
			for _, n := range names {
				if v, ok := os.LookupEnv(n); ok {
					t.Errorf("%s=%s is left to children", n, v)
				}
			}
		})
	}
}

// passSocket listens at a path, and passes the socket to a daemon.
func passSocket(t *testing.T, path string) Service {
	t.Helper()
	mustMkdir(t, filepath.Dir(path))
	ul, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ul.SetUnlinkOnClose(false)
	t.Cleanup(func() { ul.Close() })
	f, err := ul.File()
	if err != nil {
		t.Fatal(err)
	}
	s := Service{passedFD: int(f.Fd())}
	t.Cleanup(func() { f.Close() }) // the daemon closed it; this only forgets it
	return s
}

// A passed socket belongs to the manager, and stays when the daemon ends. If it is removed,
// the daemon makes its own socket, and removes that at its end.
func TestLentSocketStaysAndAMissingOneIsReplaced(t *testing.T) {
	d := startDaemon(t, "")
	d.stop()
	s := passSocket(t, d.paths.Socket)
	before, err := os.Lstat(d.paths.Socket)
	if err != nil {
		t.Fatal(err)
	}
	start := func() {
		t.Helper()
		dm := newDaemon(Options{Paths: d.paths, Version: "test", Stderr: io.Discard, Service: s})
		ctx, quit := context.WithCancel(context.Background())
		d.quit = quit
		d.wg.Go(func() { d.err = dm.lifetime(ctx) })
	}
	start()
	if r, err := ask(d, "echo", "one"); err != nil || r.Text != "one" {
		t.Fatalf("got %v, %v", r, err)
	}
	d.stop()
	after, err := os.Lstat(d.paths.Socket)
	if err != nil || !os.SameFile(before, after) || after.Mode().Perm() != 0o600 {
		t.Fatalf("got %v, %v", after, err)
	}
	os.Remove(d.paths.Socket)
	s = passSocket(t, d.paths.Socket)
	start()
	mustCall[ipc.Status](d, ipc.MethodStatus, nil)
	os.Remove(d.paths.Socket)
	eventually(t, "a socket", func() bool { _, err := os.Lstat(d.paths.Socket); return err == nil })
	mustCall[ipc.Status](d, ipc.MethodStatus, nil)
	d.stop()
	if _, err := os.Lstat(d.paths.Socket); !os.IsNotExist(err) {
		t.Errorf("its own socket is left: %v", err)
	}
}

func TestSocketElsewhereIsRefused(t *testing.T) {
	d := startDaemon(t, "")
	d.stop()
	s := passSocket(t, d.paths.Socket+"2")
	err := Run(t.Context(), Options{Paths: d.paths, Version: "test", Stderr: io.Discard, Service: s})
	if err == nil || !strings.Contains(err.Error(), "iris.sock2") || !strings.Contains(err.Error(), "ListenStream=") {
		t.Errorf("got %v", err)
	}
}
