package daemon

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"iris/config"
	"iris/config/sys/systest"
	"iris/daemon/agents"
	"iris/ipc"
	"iris/pool/adapter"
	"iris/pool/adapter/adaptertest"
	"iris/pool/claude/claudetest"
	"iris/pool/echo"
)

// patience is how long a test waits for an event, even on a busy machine.
const patience = time.Minute

// TestMain lets the test binary also be the built-in agent, the scripted agent, and the
// program that calls Isolate.
func TestMain(m *testing.M) {
	claudetest.Main()
	adaptertest.Main()
	if len(os.Args) > 2 && os.Args[1] == "agent" {
		os.Exit(runAgent(os.Args[2], os.Args[3:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "inherited" {
		os.Exit(showInherited())
	}
	agents.ShellTimeout = patience
	systest.Begin()
	// lumberjack never ends the goroutine that prunes its files.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}

// runAgent is "iris agent" of that name.
func runAgent(name string, args []string) int {
	if name == "echo" {
		return echo.Run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr)
	}
	return adapter.Run(context.Background(), name, args, os.Stdin, os.Stdout, os.Stderr)
}

// testDaemon is a daemon in the test's process, with its own directories.
type testDaemon struct {
	t     *testing.T
	paths config.Paths
	quit  context.CancelFunc
	wg    sync.WaitGroup
	err   error
}

// startDaemon runs a daemon with this config.toml until the test ends.
func startDaemon(t *testing.T, toml string) *testDaemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "iris") // short: the socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, sub := range map[string]string{"HOME": "", "XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": "run"} {
		mustMkdir(t, filepath.Join(dir, sub))
		t.Setenv(name, filepath.Join(dir, sub))
	}
	t.Setenv("IRIS_SOCKET", "")
	paths, err := config.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	d := &testDaemon{t: t, paths: paths}
	d.configure(toml)
	d.run()
	t.Cleanup(d.stop)
	return d
}

func mustMkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

// noExitSleep saves the second that a race-enabled test binary sleeps at its exit, for each
// agent.
const noExitSleep = "env = { GORACE = \"atexit_sleep_ms=0\" } # line 1\n"

// configure writes config.toml as an editor does, by renaming.
func (d *testDaemon) configure(toml string) {
	d.t.Helper()
	mustMkdir(d.t, filepath.Dir(d.paths.Config))
	tmp := d.paths.Config + ".new"
	if err := os.WriteFile(tmp, []byte(noExitSleep+toml), 0o600); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(tmp, d.paths.Config); err != nil {
		d.t.Fatal(err)
	}
}

// run starts the daemon and returns when it is ready.
func (d *testDaemon) run() {
	d.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Close()
	ctx, quit := context.WithCancel(context.Background())
	d.quit = quit
	d.wg.Go(func() {
		d.err = Run(ctx, Options{Paths: d.paths, Version: "test", Ready: w, Stderr: io.Discard})
	})
	line, err := io.ReadAll(r)
	if err != nil || string(line) != "ok\n" {
		d.t.Fatalf("daemon did not start: %q %v", line, err)
	}
}

func (d *testDaemon) stop() {
	d.quit()
	d.wg.Wait()
	if d.err != nil {
		d.t.Errorf("daemon: %v", d.err)
	}
}

// client connects; the connection closes with the test.
func (d *testDaemon) client() *ipc.Client {
	d.t.Helper()
	c, err := ipc.Dial(d.t.Context(), d.paths.Socket, ipc.Hello{Protocol: ipc.Version, Version: "test"})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	return c
}

// call makes one call on a new connection.
func call[T any](d *testDaemon, method string, params any) (T, error) {
	d.t.Helper()
	var result T
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	c := d.client()
	defer c.Close()
	err := c.Call(ctx, method, params, &result)
	return result, err
}

func mustCall[T any](d *testDaemon, method string, params any) T {
	d.t.Helper()
	result, err := call[T](d, method, params)
	if err != nil {
		d.t.Fatalf("%s: %v", method, err)
	}
	return result
}

// eventually polls until f returns true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come within %v", what, patience)
		}
		time.Sleep(5 * time.Millisecond) // a real process needs its time
	}
}

// within fails the test unless f returns in time.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { defer close(done); f() })
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not come within %v", what, patience)
	}
}

// gate returns a path that does not exist, and a function that creates it: an agent that waits
// for the path as its delay then goes on. The path is short, so that a ledger line has room for
// it. To create it takes no descriptor and no space on the disk.
func gate(t *testing.T) (path string, open func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "g")
	return path, func() {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Error(err)
		}
	}
}

// fakeTeam returns the configuration of a team with the scripted agent.
func fakeTeam(t *testing.T, name string, more ...string) string {
	t.Helper()
	return fmt.Sprintf("[teams.%s]\ndir = %q\ncommand = %q\n%s\n", name, t.TempDir(), claudetest.Install(t.TempDir()), strings.Join(more, "\n"))
}
