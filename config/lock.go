package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"iris/config/sys"
)

// maxRecord is more than the size of any record.
const maxRecord = 4096

// LockRecord is what a daemon writes into its lock file, a member a line. Records of
// earlier versions have only the first line.
type LockRecord struct {
	Socket string // where it listens
	Place  string // where it was started to listen; Socket is elsewhere if that place is gone
}

// String returns the text of the file.
func (r LockRecord) String() string { return r.Socket + "\n" + r.Place + "\n" }

// ReadLock reads the record in a daemon's lock file. What the file lacks is zero. Every
// command reads the lock, and os.ReadFile would set up the runtime's poller.
func ReadLock(path string) LockRecord {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return LockRecord{}
	}
	defer unix.Close(fd)
	buf := make([]byte, maxRecord)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return LockRecord{}
	}
	socket, rest, _ := strings.Cut(string(buf[:n]), "\n")
	place, _, _ := strings.Cut(rest, "\n")
	return LockRecord{socket, place}
}

// recorded returns the socket named in the lock file. A path from a flag or IRIS_SOCKET
// leads to another socket only if the daemon was started to listen at that path. It
// ignores a lock file that others could have written, and a path without a socket of
// this user.
func (p Paths) recorded() string {
	fi, err := os.Lstat(p.Lock)
	if err != nil || !fi.Mode().IsRegular() || othersWrite(p.Lock, fi) || sys.Owner(fi) != os.Geteuid() || fi.Size() > maxRecord {
		return ""
	}
	r := ReadLock(p.Lock)
	if p.fixed && r.Place != p.Socket || !filepath.IsAbs(r.Socket) || checkSocket(r.Socket) != nil {
		return ""
	}
	fi, err = os.Lstat(r.Socket)
	if err != nil || fi.Mode().Type() != fs.ModeSocket || sys.Owner(fi) != os.Geteuid() {
		return ""
	}
	return r.Socket
}
