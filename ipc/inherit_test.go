package ipc

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lend listens at a path as a service manager does, and returns a descriptor.
func lend(t *testing.T, path string) int {
	t.Helper()
	ul, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ul.SetUnlinkOnClose(false)
	t.Cleanup(func() { ul.Close() })
	return passOn(t, ul)
}

// passOn duplicates the descriptor of a connection or listener.
func passOn(t *testing.T, c interface{ File() (*os.File, error) }) int {
	t.Helper()
	f, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestLentSocketIsServedAndStays(t *testing.T) {
	path := socketPath(t)
	fd := lend(t, path)
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	l, err := Inherit(fd, path)
	if err != nil {
		t.Fatal(err)
	}
	if !l.Present() {
		t.Error("it is not at its path")
	}
	if fi, err := os.Lstat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v", fi.Mode(), err)
	}
	if nc, err := net.Dial("unix", path); err != nil {
		t.Error(err)
	} else {
		nc.Close()
	}
	h, err := l.HandOver()
	if err != nil || !h.Lent {
		t.Fatalf("got %+v, %v", h, err)
	}
	l.Close()
	next, err := TakeOver(h)
	if err != nil {
		t.Fatal(err)
	}
	next.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket is gone: %v", err)
	}
	if err := unix.Close(fd); err == nil {
		t.Error("the descriptor was left open")
	}
}

func TestLentSocketThatIsGoneIsSaidToBe(t *testing.T) {
	for name, put := range map[string]func(path string){
		"gone": func(string) {},
		"deaf": func(path string) {
			ul, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			ul.SetUnlinkOnClose(false)
			ul.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := socketPath(t)
			fd := lend(t, path)
			os.Remove(path)
			put(path)
			l, err := Inherit(fd, path)
			if err != nil {
				t.Fatal(err)
			}
			if l.Present() {
				t.Error("it is there")
			}
			l.Close()
		})
	}
}

func TestWhatIsNoListeningSocketOfOursIsRefused(t *testing.T) {
	path := socketPath(t)
	dir := filepath.Dir(path)
	pipe := make([]int, 2)
	if err := unix.Pipe(pipe); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[1])
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	packets, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "p"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	other := filepath.Join(dir, "other")
	fd := lend(t, other)
	nc, err := net.Dial("unix", other)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, os.Chmod(open, 0o755)) // whatever the umask is
	for want, c := range map[string]struct {
		fd   int
		path string
	}{
		"no socket":              {pipe[0], path},
		"not a Unix socket":      {passOn(t, tcp.(*net.TCPListener)), path},
		"not a stream socket":    {passOn(t, packets), path},
		"not a listening socket": {passOn(t, nc.(*net.UnixConn)), path},
		"clients look for":       {fd, path},
		"open to others":         {lend(t, filepath.Join(open, "s")), filepath.Join(open, "s")},
	} {
		l, err := Inherit(c.fd, c.path)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if unix.Close(c.fd) == nil {
			t.Errorf("%s: the descriptor was left open", want)
		}
	}
}
