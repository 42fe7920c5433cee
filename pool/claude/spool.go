package claude

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"iris/config/sys"
	"iris/pool"
)

const (
	reserve = 1 << 20 // room for an answer, kept past the spool's end during a turn
	intro   = 1 << 20 // room for what an agent writes until its first turn
	block   = 4096
)

// spool is the daemon's side of the files of one process: <session>.<process> with
// .out (the agent's stdout), .err (its stderr) and .json (the record by which a later
// daemon finds the process).
type spool struct {
	dir  string
	out  *os.File // with its own file description: for reading and punching, without a lock
	free int64    // everything before it was given back

	mu      sync.Mutex // protects the fields below
	rec     record
	recLen  int // its bytes on disk
	removed bool
}

// record lets a later daemon find the process, compute the cost of its last turn, and
// decide whether that turn can have begun. It is written at the start and just before
// each message.
type record struct {
	Session string `json:"session"`
	Process string `json:"process"`
	PID     int    `json:"pid"`
	Start   uint64 `json:"start"` // of the process, in the system's unit
	Boot    string `json:"boot"`
	Config  string `json:"config,omitempty"` // directory of Claude Code
	Base    totals `json:"base"`
	UUID    string `json:"uuid,omitempty"`    // of that message
	NoWait  bool   `json:"no_wait,omitempty"` // its first answer ends the turn
	Told    int64  `json:"told,omitempty"`    // end of the agent's last own turn that was reported
	Given   *int64 `json:"given"`             // offset of the last turn whose message may have been written, -1 before the first; nil if not recorded
}

func (r record) base() string { return r.Session + "." + r.Process }

func (s *spool) path(ext string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pathLocked(ext)
}

func (s *spool) pathLocked(ext string) string { return filepath.Join(s.dir, s.rec.base()+ext) }

// config is Claude Code's directory for the process.
func (s *spool) config() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rec.Config
}

// reader opens the agent's output once more. Its name cannot change meanwhile.
func (s *spool) reader() (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return os.Open(s.pathLocked(".out"))
}

// createSpool makes the files of a new process. It returns the locked stdout; the
// agent inherits the lock and keeps it as long as it lives. It fails if a live
// process has the same session. The lock of the directory makes the check and the
// creation one step, even between two daemons.
func createSpool(dir, session, process string) (s *spool, stdout, stderr *os.File, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, nil, err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	defer unlock()
	owner, err := liveOwner(dir, session)
	if err != nil {
		return nil, nil, nil, err
	}
	if owner != "" {
		return nil, nil, nil, fmt.Errorf("session %s is in use by process %s: %w", session, owner, pool.ErrBusy)
	}
	s = &spool{dir: dir, rec: record{Session: session, Process: process}}
	if stdout, stderr, err = s.open(); err != nil {
		closeAll(stdout, stderr, s.out)
		s.remove()
	}
	return s, stdout, stderr, err
}

// open creates the files and opens our side of the spool.
func (s *spool) open() (stdout, stderr *os.File, err error) {
	const flags = os.O_CREATE | os.O_EXCL | os.O_WRONLY | os.O_APPEND
	if stdout, err = os.OpenFile(s.path(".out"), flags, 0o600); err != nil {
		return nil, nil, err
	}
	if err = sys.Lock(stdout); err != nil {
		return stdout, nil, err
	}
	if stderr, err = os.OpenFile(s.path(".err"), flags, 0o600); err != nil {
		return stdout, nil, err
	}
	s.out, err = os.OpenFile(s.path(".out"), os.O_RDWR, 0)
	return stdout, stderr, err
}

// save changes the record and writes it.
func (s *spool) save(change func(*record)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.rec)
	return s.saveLocked()
}

// saveLocked writes in place and in one piece, never shorter than before: a kill
// leaves the old record or the new one. (A rename would write to the disk in each
// turn.)
func (s *spool) saveLocked() error {
	if s.removed {
		return nil
	}
	b, err := json.Marshal(s.rec)
	if err != nil {
		return err
	}
	s.recLen = max(s.recLen, (len(b)/block+1)*block)
	b = append(b, bytes.Repeat([]byte(" "), s.recLen-len(b))...)
	f, err := os.OpenFile(s.pathLocked(".json"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	return errors.Join(err, f.Close())
}

// rename follows a change of the session, so that the name always contains the
// session in use.
func (s *spool) rename(session string) error {
	unlock, err := lockDir(s.dir)
	if err != nil {
		return err
	}
	defer unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.rec
	for _, ext := range []string{".err", ".json", ".out"} {
		s.rec.Session = old.Session
		from := s.pathLocked(ext)
		s.rec.Session = session
		if err := os.Rename(from, s.pathLocked(ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.rec.Session = old.Session
			return err
		}
	}
	return s.saveLocked()
}

// room reserves space for the answer past the spool's end, so that the answer
// survives if the disk fills up during the turn. beside is how many bytes may come
// before it.
func (s *spool) room(beside int64) error {
	info, err := s.out.Stat()
	if err != nil {
		return err
	}
	if err := allocate(s.out, info.Size(), beside+reserve); err != nil {
		return fmt.Errorf("no room for the answer in %s: %w", s.dir, err)
	}
	return nil
}

// freeTo returns everything before off to the disk.
func (s *spool) freeTo(off int64) {
	if off > s.free && punch(s.out, s.free, off-s.free) == nil {
		s.free = off
	}
}

// stderr returns the end of the agent's stderr, at most n bytes.
func (s *spool) stderr(n int64) []byte {
	f, err := os.Open(s.path(".err"))
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	buf := make([]byte, min(n, info.Size()))
	got, _ := f.ReadAt(buf, info.Size()-int64(len(buf)))
	return buf[:got]
}

// haveRoom checks whether n bytes are free, for file systems that cannot reserve.
func haveRoom(f *os.File, n int64) error {
	var s unix.Statfs_t
	if err := control(f, func(fd int) error { return unix.Fstatfs(fd, &s) }); err != nil {
		return err
	}
	if int64(s.Bavail)*int64(s.Bsize) < n {
		return unix.ENOSPC
	}
	return nil
}

// control calls f with the descriptor of a file, which stays open meanwhile. The
// process of a spool may end at any time and its file be closed then; the number may
// soon belong to another file.
func control(file *os.File, f func(fd int) error) error {
	c, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := c.Control(func(fd uintptr) { result = f(int(fd)) }); err != nil {
		return err
	}
	return result
}

// remove deletes the files.
func (s *spool) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = true
	for _, ext := range []string{".json", ".err", ".out"} {
		os.Remove(s.pathLocked(ext))
	}
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
