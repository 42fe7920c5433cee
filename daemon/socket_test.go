package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"iris/config"
	"iris/ipc"
)

func TestRemovedSocketIsBoundAgain(t *testing.T) {
	d := startDaemon(t, "")
	for range 2 {
		if err := os.Remove(d.paths.Socket); err != nil {
			t.Fatal(err)
		}
		d.listens("the socket")
	}
	os.RemoveAll(filepath.Dir(d.paths.Socket)) // in vain if the daemon is quick enough
	d.listens("the socket and its directory")
}

// listens waits until the daemon answers where clients look for it: it binds before it
// listens, and moves if its directory is removed while it binds.
func (d *testDaemon) listens(what string) {
	d.t.Helper()
	eventually(d.t, what, func() bool {
		c, err := ipc.Dial(d.t.Context(), find(d.t, d.paths.Socket), ipc.Hello{Protocol: ipc.Version, Version: "test"})
		if err != nil {
			return false
		}
		defer c.Close()
		return c.Call(d.t.Context(), ipc.MethodList, struct{}{}, new(ipc.ProcessList)) == nil
	})
}

// A logout removes the runtime directory, and the user cannot make it again: here a file is
// in its place.
func TestDaemonWithoutItsRuntimeDirectoryListensAtTheRefuge(t *testing.T) {
	d := startDaemon(t, "")
	place := d.paths.Socket
	unmake(t, d.paths.Runtime)
	d.paths.Socket = d.paths.Refuge
	knock(t, d)
	eventually(t, "the socket in the state directory", func() bool { _, err := os.Lstat(d.paths.Refuge); return err == nil })
	if st := mustCall[ipc.Status](d, ipc.MethodStatus, nil); st.Socket != d.paths.Refuge {
		t.Errorf("status says %s", st.Socket)
	}
	// An agent, whose environment names the old place, follows as a client without it does.
	for _, socket := range []string{"", place} {
		if found := find(t, socket); found != d.paths.Refuge {
			t.Errorf("with IRIS_SOCKET=%s a client looks at %s", socket, found)
		}
	}
	if other := find(t, place+"2"); other != place+"2" {
		t.Errorf("a client of another socket looks at %s", other)
	}
	os.Remove(d.paths.Refuge)
	eventually(t, "the socket again", func() bool { _, err := os.Lstat(d.paths.Refuge); return err == nil })
	mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{})
	d.stop()
	if _, err := os.Lstat(d.paths.Refuge); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

// knock has the daemon look for its socket, as a client does that finds none.
func knock(t *testing.T, d *testDaemon) {
	t.Helper()
	if err := os.Chtimes(d.paths.Lock, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
}

// unmake puts a file in the place of a directory.
func unmake(t *testing.T, dir string) {
	t.Helper()
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// find returns where a client with this IRIS_SOCKET looks for the daemon.
func find(t *testing.T, socket string) string {
	t.Helper()
	p, err := config.Resolve(socket)
	if err == nil {
		socket, err = p.FindSocket()
	}
	if err != nil {
		t.Fatal(err)
	}
	return socket
}
