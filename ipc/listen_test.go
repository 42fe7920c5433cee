package ipc

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"iris/config/sys"
	"iris/config/sys/systest"
)

func mustListen(t *testing.T, path string) *Listener {
	t.Helper()
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestListenMakesADirectoryAndASocketForUsOnly(t *testing.T) {
	for _, umask := range []int{0, 0o077, 0o777} {
		dir := filepath.Join(filepath.Dir(socketPath(t)), "iris")
		old := syscall.Umask(umask)
		defer syscall.Umask(old)
		ln, err := Listen(filepath.Join(dir, "s"))
		if err != nil {
			t.Fatalf("umask %03o: %v", umask, err)
		}
		for path, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, filepath.Join(dir, "s"): os.ModeSocket | 0o600} {
			if fi, err := os.Lstat(path); err != nil || fi.Mode() != want {
				t.Errorf("umask %03o: %s: got %v, %v, want %v", umask, path, fi.Mode(), err, want)
			}
		}
		if got := names(t, dir); got != "s" {
			t.Errorf("umask %03o: the directory has %q", umask, got)
		}
		ln.Close()
		if got := names(t, dir); got != "" {
			t.Errorf("umask %03o: after Close the directory has %q", umask, got)
		}
	}
}

func TestListenReplacesADeadSocketOnly(t *testing.T) {
	path := socketPath(t)
	first := mustListen(t, path)
	if _, err := Listen(path); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("a live one: got %v", err)
	}
	first.UnixListener.Close() // as after kill -9
	if got := names(t, filepath.Dir(path)); got != "s" {
		t.Fatalf("the dead socket: got %q", got)
	}
	second := mustListen(t, path)
	if first.Present() || !second.Present() {
		t.Errorf("present: the dead one %v, the live one %v", first.Present(), second.Present())
	}
	first.Close() // late, as in a slow exit
	if !second.Present() {
		t.Error("a late Close has removed the successor's socket")
	}
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

func TestListenTakesOverItsOwnLeftover(t *testing.T) {
	path := socketPath(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: beside(path), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close() // killed between bind and rename
	mustListen(t, path)
	if got := names(t, filepath.Dir(path)); got != "s" {
		t.Errorf("the directory has %q", got)
	}
}

func TestCloseLeavesASuccessorAloneThatIsJustBinding(t *testing.T) {
	path := socketPath(t)
	ln := mustListen(t, path)
	deadSocket(t, beside(path))
	ln.Close()
	if got := names(t, filepath.Dir(path)); got != filepath.Base(beside(path)) {
		t.Errorf("the directory has %q", got)
	}
}

func TestBesideIsAnotherNameOfTheSameLength(t *testing.T) {
	for _, path := range []string{"/d/s", "/d/~", "/d/iris.sock", "/d/x~"} {
		if got := beside(path); got == path || len(got) != len(path) || filepath.Dir(got) != "/d" {
			t.Errorf("%s: got %s", path, got)
		}
	}
}

func TestPresentNoticesARemovedSocket(t *testing.T) {
	path := socketPath(t)
	ln := mustListen(t, path)
	if !ln.Present() {
		t.Error("not present after Listen")
	}
	os.Remove(path)
	if ln.Present() {
		t.Error("present after its removal")
	}
	again := mustListen(t, path)
	if ln.Close(); !again.Present() {
		t.Error("Close of the removed one took the new one away")
	}
}

func TestSocketPathLength(t *testing.T) {
	dir := filepath.Dir(socketPath(t))
	longest := filepath.Join(dir, strings.Repeat("x", sys.MaxSocketPath-len(dir)-1))
	ln := mustListen(t, longest)
	if err := Check(longest); err != nil {
		t.Errorf("%d bytes: %v", len(longest), err)
	}
	ln.Close()
	_, err := Listen(longest + "x")
	for _, err := range []error{err, Check(longest + "x")} {
		if err == nil || errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "shorter") {
			t.Errorf("%d bytes: got %v", len(longest)+1, err)
		}
	}
	for _, path := range []string{"", "/", dir + "/"} {
		if _, err := Listen(path); err == nil {
			t.Errorf("%q: no error", path)
		}
	}
}

// What may stand in the way of a socket, and must never be deleted.
func TestNothingOfOthersIsTouched(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, dir, path string)
		want    string
		foreign bool
	}{
		{"file", func(t *testing.T, _, path string) { must(t, os.WriteFile(path, []byte("x"), 0o600)) }, "is not a socket", false},
		{"directory", func(t *testing.T, _, path string) { must(t, os.Mkdir(path, 0o700)) }, "is not a socket", false},
		{"symbolic link", func(t *testing.T, _, path string) { must(t, os.Symlink("/nowhere", path)) }, "symbolic link", false},
		{"symbolic link to a dead socket", func(t *testing.T, dir, path string) {
			deadSocket(t, dir+"/dead")
			must(t, os.Symlink(dir+"/dead", path))
		}, "symbolic link", false},
		{"socket of another user", func(t *testing.T, _, path string) {
			deadSocket(t, path)
			chown(t, path)
		}, "belongs to uid 65534", true},
		{"open directory", func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o750)) }, "chmod 700", false},
		{"directory of another user", func(t *testing.T, dir, _ string) { chown(t, dir) }, "belongs to uid 65534", true},
		{"linked directory", func(t *testing.T, dir, _ string) {
			must(t, os.Rename(dir, dir+".real"))
			t.Cleanup(func() { os.RemoveAll(dir + ".real") })
			must(t, os.Symlink(dir+".real", dir))
		}, "symbolic link", false},
		{"no directory", func(t *testing.T, dir, _ string) {
			must(t, os.Remove(dir))
			must(t, os.WriteFile(dir, nil, 0o600))
		}, "not a directory", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := socketPath(t)
			tt.prepare(t, filepath.Dir(path), path)
			before, _ := os.Lstat(path)
			_, lerr := Listen(path)
			_, derr := Dial(t.Context(), path, Hello{})
			for what, err := range map[string]error{"Listen": lerr, "Dial": derr} {
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), filepath.Dir(path)) {
					t.Errorf("%s: got %v, want it to say %q", what, err, tt.want)
				}
				if errors.Is(err, ErrNoDaemon) || errors.Is(err, ErrForeign) != tt.foreign {
					t.Errorf("%s: got %v, foreign should be %v", what, err, tt.foreign)
				}
			}
			if after, _ := os.Lstat(path); before != nil && !os.SameFile(before, after) {
				t.Error("it is gone")
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func chown(t *testing.T, path string) {
	t.Helper()
	systest.NeedsRoot(t)
	must(t, os.Lchown(path, 65534, 65534))
}

func deadSocket(t *testing.T, path string) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	ln.SetUnlinkOnClose(false)
	ln.Close()
}

// A client that finds the socket at its path can always connect.
func TestSocketIsNeverThereBeforeItAccepts(t *testing.T) {
	path := socketPath(t)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			nc, err := net.Dial("unix", path)
			if err == nil {
				nc.Close()
			} else if !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.EAGAIN) {
				t.Errorf("dial: %v", err)
				return
			}
			if _, err := os.Lstat(path); err == nil {
				if fi, err := os.Lstat(path); err == nil && fi.Mode().Perm() != 0o600 {
					t.Errorf("seen with mode %v", fi.Mode())
					return
				}
			}
		}
	})
	for range 100 {
		mustListen(t, path).Close()
	}
	close(done)
	wg.Wait()
}
