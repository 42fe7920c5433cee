package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"iris/config"
	"iris/ipc"
)

// newHome gives the test directories of its own, whose paths are short enough
// for a socket.
func newHome(t *testing.T) string {
	t.Helper()
	home, err := os.MkdirTemp("", "iris")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	for name, sub := range homeDirs {
		dir := filepath.Join(home, sub)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, dir)
	}
	t.Setenv("IRIS_SOCKET", "")
	t.Setenv("IRIS_CONFIG", "")
	return home
}

// fakeDaemon answers each connection with f until the test ends.
func fakeDaemon(t *testing.T, f func(lines *bufio.Reader, nc net.Conn)) *globals {
	t.Helper()
	socket := filepath.Join(newHome(t), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				f(bufio.NewReader(nc), nc)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return &globals{socket: socket}
}

func TestFiftyFirstCallsGiveOneDaemon(t *testing.T) {
	home := newHome(t)
	t.Cleanup(func() { stopDaemon(t, home, os.Environ()) })
	var wg sync.WaitGroup
	out := make([][]byte, 50)
	for i := range out {
		wg.Go(func() {
			b, err := exec.Command("iris", "status", "--json").CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, b)
			}
			out[i], _, _ = bytes.Cut(b, []byte(","))
		})
	}
	wg.Wait()
	slices.SortFunc(out, bytes.Compare)
	if n := len(slices.CompactFunc(out, bytes.Equal)); n != 1 {
		t.Errorf("%d daemons", n)
	}
	ofShell := func(p string) bool { return !strings.Contains(p, ": iris daemon") } // the login shell and its profile
	if left := slices.DeleteFunc(processesOf(home), ofShell); len(left) != 1 {
		t.Errorf("processes: %q", left)
	}
}

func TestDaemonThatDoesNotAnswerIsNamed(t *testing.T) {
	ctx, expire := expiring(t)
	g := fakeDaemon(t, func(in *bufio.Reader, _ net.Conn) {
		in.ReadByte() // the call comes
		expire()
		in.WriteTo(io.Discard)
	})
	err := g.call(ctx, ipc.MethodList, nil, nil)
	if want := fmt.Sprintf("the daemon, pid %d, does not answer", os.Getpid()); err == nil || err.Error() != want || status(err) != 3 {
		t.Errorf("got %v, status %d, want %s", err, status(err), want)
	}
}

// A daemon that serves another socket is well, and not to be ended.
func TestDaemonAtAnotherSocketIsNamed(t *testing.T) {
	g := fakeDaemon(t, func(*bufio.Reader, net.Conn) {})
	g.socket = g.socket + ".other"
	p, err := g.paths()
	if err == nil {
		err = os.MkdirAll(p.State, 0o700)
	}
	served := strings.TrimSuffix(p.Socket, ".other")
	if err == nil {
		err = os.WriteFile(p.Lock, []byte(config.LockRecord{Socket: served, Place: served}.String()), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	err = unreachable(p)
	if want := "listens at " + served + ", not at " + p.Socket; !strings.Contains(err.Error(), want) || strings.Contains(hint(err), "kill") {
		t.Errorf("got %v, hint %q", err, hint(err))
	}
}

// TestNothingIsChangedWhileTheDaemonHangs: the command would write, and then fail
// because the daemon does not take it up.
func TestNothingIsChangedWhileTheDaemonHangs(t *testing.T) {
	ctx, expire := expiring(t)
	g := fakeDaemon(t, func(in *bufio.Reader, _ net.Conn) {
		in.ReadByte()
		expire()
		in.WriteTo(io.Discard)
	})
	if err := g.notByAgents(ctx, "change the configuration"); status(err) != 3 {
		t.Errorf("got %v, status %d", err, status(err))
	}
}

func TestDaemonOfAnotherVersionSaysWhatToDo(t *testing.T) {
	for _, answer := range []string{
		`{"jsonrpc":"2.0","id":0,"error":{"code":3,"message":"other protocol","data":{"reason":"protocol","hint":"stop it"}}}`,
		`{"jsonrpc":"2.0","id":0,"result":{}}` + "\n" + `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no method \"process.list\""}}`,
	} {
		g := fakeDaemon(t, func(in *bufio.Reader, nc net.Conn) {
			in.ReadString('\n')
			fmt.Fprintln(nc, answer)
		})
		err := g.call(t.Context(), ipc.MethodList, nil, nil)
		if status(err) != 3 || !strings.Contains(hint(err), "stop") {
			t.Errorf("got %v, status %d, hint %q", err, status(err), hint(err))
		}
	}
}

func TestLostDaemon(t *testing.T) {
	g := fakeDaemon(t, func(in *bufio.Reader, _ net.Conn) {
		in.ReadString('\n')
		in.ReadString('\n')
	})
	if err := g.call(t.Context(), ipc.MethodList, nil, nil); status(err) != 3 {
		t.Errorf("got %v, status %d", err, status(err))
	}
}

func TestNoDaemonAndNoneWanted(t *testing.T) {
	newHome(t)
	g := &globals{noStart: true}
	if err := g.call(t.Context(), ipc.MethodList, nil, nil); !errors.Is(err, ipc.ErrNoDaemon) || status(err) != 3 {
		t.Errorf("got %v, status %d", err, status(err))
	}
}

func TestStartErrorKeepsTheCode(t *testing.T) {
	for line, want := range map[string]int{
		"error 2 config.toml:1:2: bad\nconfig.toml:2:3: worse": 2,
		"error 3 a daemon is already running":                  3,
		"error 0 x":                                            3, "error x": 3, "panic: x": 3, "error": 3,
	} {
		err := startError(line)
		if status(err) != want || !strings.HasPrefix(err.Error(), "the daemon does not start: ") {
			t.Errorf("%q: got %v, status %d, want %d", line, err, status(err), want)
		}
	}
}

func TestDaemonGetsNothingOfTheCallerButWhereFilesAre(t *testing.T) {
	got := daemonEnv([]string{
		"HOME=/h", "USER=u", "LOGNAME=u", "XDG_STATE_HOME=/s", "XDG_CONFIG_HOME=", "PATH=/evil", "ANTHROPIC_API_KEY=x",
		"CLAUDECODE=1", "IRIS_PROCESS=p", "IRIS_MAX_PROCESSES=1", "LD_PRELOAD=x", "SHELL=/evil", "HOMEX=1",
	})
	want := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/h", "USER=u", "LOGNAME=u", "XDG_STATE_HOME=/s"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
