package ipc

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"iris/config/sys"
)

// ErrInUse says that a process already listens on the socket.
var ErrInUse = errors.New("socket is in use")

// A Listener accepts connections at a path, and knows whether the path is still
// its own.
type Listener struct {
	*net.UnixListener
	path  string
	id    fileID
	lent  bool // the socket belongs to a service manager, see Inherit
	close sync.Once
	left  atomic.Bool // Close leaves the socket at its path
}

type fileID struct{ dev, ino uint64 }

// Listen makes a socket at path, for this user only. The caller must hold the
// daemon's lock: Listen removes the socket of a dead daemon, and two callers at once
// could remove each other's.
//
// Listen makes the directory of the socket if it is missing. It must belong to this
// user, with mode 0700, and not be a symbolic link. Listen never removes anything but
// a dead socket of this user. When the socket appears at path, it already accepts
// connections.
func Listen(path string) (*Listener, error) {
	if err := checkLength(path); err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	if err := checkDead(path); err != nil {
		return nil, err
	}
	temp := beside(path)
	if err := checkDead(temp); err != nil {
		return nil, err
	}
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return bind(temp, path)
}

// bind listens at temp and moves the socket to path.
func bind(temp, path string) (*Listener, error) {
	ul, err := net.ListenUnix("unix", &net.UnixAddr{Name: temp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	ul.SetUnlinkOnClose(false) // it would unlink the socket of a successor
	l := &Listener{UnixListener: ul, path: path}
	if err := l.publish(temp); err != nil {
		ul.Close()
		os.Remove(temp)
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	return l, nil
}

func (l *Listener) publish(temp string) error {
	if err := os.Chmod(temp, 0o600); err != nil {
		return err
	}
	fi, err := os.Lstat(temp)
	if err != nil {
		return err
	}
	l.id = idOf(fi)
	return os.Rename(temp, l.path)
}

// beside returns a path of the same length in the same directory, where the socket is
// made first: a longer path might be too long.
func beside(path string) string {
	end := byte('~')
	if path[len(path)-1] == end {
		end = '+'
	}
	return path[:len(path)-1] + string(end)
}

func idOf(fi fs.FileInfo) fileID {
	st := fi.Sys().(*syscall.Stat_t)
	return fileID{dev: uint64(st.Dev), ino: st.Ino}
}

// Path returns the path of the socket.
func (l *Listener) Path() string { return l.path }

// Present reports whether the socket is still at its path. If it was removed or
// replaced, no client finds the daemon.
func (l *Listener) Present() bool {
	fi, err := os.Lstat(l.path)
	return err == nil && idOf(fi) == l.id
}

// Close stops accepting. It removes the socket if that is still at its path and not
// lent.
func (l *Listener) Close() error {
	var err error
	l.close.Do(func() {
		if !l.lent && !l.left.Load() && l.Present() {
			err = os.Remove(l.path)
		}
		err = errors.Join(err, l.UnixListener.Close())
	})
	return err
}

// Check tells a client whether it may trust the socket at path: the socket and its
// directory must belong to this user, be closed to others, and not be symbolic links.
// If the socket is missing, the error is ErrNoDaemon.
func Check(path string) error {
	if err := checkLength(path); err != nil {
		return err
	}
	err := checkDir(filepath.Dir(path))
	if err == nil {
		err = checkSocket(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNoDaemon, err)
	}
	return err
}

func checkLength(path string) error {
	if path == "" || path[len(path)-1] == '/' {
		return fmt.Errorf("socket path %q names no file: give the path of a file in a directory of yours", path)
	}
	if len(path) > sys.MaxSocketPath {
		return fmt.Errorf("socket path has %d bytes and the system takes %d: choose a shorter one than %s",
			len(path), sys.MaxSocketPath, path)
	}
	return nil
}

// makeDir makes a missing directory. It does not change the mode of an existing one,
// which may be a home directory.
func makeDir(dir string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create directory %s of the socket: %w", dir, sys.Cause(err))
	}
	return os.Chmod(dir, 0o700) // bits that the umask removed
}

// checkDir refuses a directory where another user could put a socket.
func checkDir(dir string) error {
	fi, err := os.Lstat(dir)
	what := "directory " + dir + " of the socket"
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, sys.Cause(err))
	case fi.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link: use the directory it leads to", what)
	case !fi.IsDir():
		return fmt.Errorf("%s is not a directory: move it away, or choose another socket path", what)
	}
	if err := checkOwner(what, fi); err != nil {
		return err
	}
	if perm := fi.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("%s is open to others (mode %04o): use one that is yours alone (chmod 700)", what, perm)
	}
	return nil
}

// checkSocket refuses a path that is not a socket of this user.
func checkSocket(path string) error {
	fi, err := os.Lstat(path)
	switch {
	case err != nil:
		return fmt.Errorf("socket %s: %w", path, sys.Cause(err))
	case fi.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("socket %s is a symbolic link: remove it, or choose another socket path", path)
	case fi.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("socket %s is not a socket: move it away, or choose another socket path", path)
	}
	return checkOwner("socket "+path, fi)
}

func checkOwner(what string, fi fs.FileInfo) error {
	if uid := sys.Owner(fi); uid != os.Geteuid() {
		return fmt.Errorf("%s belongs to uid %d, not to you (uid %d): choose another socket path%w",
			what, uid, os.Geteuid(), sys.Silent(ErrForeign))
	}
	return nil
}

// checkDead refuses everything at path but a dead socket of this user; nothing at
// path is fine too.
func checkDead(path string) error {
	err := checkSocket(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	nc, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return nil
	case errors.Is(err, syscall.EAGAIN): // so busy that it must be alive
	case err != nil:
		return fmt.Errorf("socket: %s does not say whether somebody listens: %w", path, err)
	default:
		nc.Close()
	}
	return fmt.Errorf("%w: %s", ErrInUse, path)
}
