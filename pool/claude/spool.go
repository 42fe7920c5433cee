package claude

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"iris/pool"
)

const (
	reserve  = 1 << 20  // room for an answer, kept past the spool's end during a turn
	errLimit = 1 << 20  // of a stderr file, beyond which only its tail is kept
	errTail  = 64 << 10 // the tail
	block    = 4096
)

// spool is the daemon's side of the files of one process: <session>.<process>
// with .out (the agent's stdout), .err (its stderr) and .json (the record by
// which a later daemon finds the process).
type spool struct {
	dir  string
	out  *os.File // own open file description: reading and punching, no lock
	free int64    // everything before it has been given back

	mu      sync.Mutex // protects the fields below
	rec     record
	recLen  int // bytes of it on disk
	removed bool
}

// record is what a later daemon needs to find the process, and to tell the costs
// of its last turn and whether that can have begun. It is written at start and
// just before each message is.
type record struct {
	Session string `json:"session"`
	Process string `json:"process"`
	PID     int    `json:"pid"`
	Start   uint64 `json:"start"` // of the process, in the system's own unit
	Boot    string `json:"boot"`
	Base    totals `json:"base"`
	Given   *int64 `json:"given"` // offset of the last turn whose message may have been written, -1 before the first; nil when that is not noted
}

func (r record) base() string { return r.Session + "." + r.Process }

func (s *spool) path(ext string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pathLocked(ext)
}

func (s *spool) pathLocked(ext string) string { return filepath.Join(s.dir, s.rec.base()+ext) }

// reader opens the agent's output once more. Its name cannot change meanwhile.
func (s *spool) reader() (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return os.Open(s.pathLocked(".out"))
}

// createSpool makes the files of a new process. Its stdout is returned with the
// lock held, which the agent inherits and keeps as long as it lives. It fails
// when a live process has the same session. The directory's own lock makes
// looking and taking one step, also between two daemons.
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
	if err = syscall.Flock(int(stdout.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return stdout, nil, fmt.Errorf("lock %s: %w", s.path(".out"), err)
	}
	if stderr, err = os.OpenFile(s.path(".err"), flags, 0o600); err != nil {
		return stdout, nil, err
	}
	s.out, err = os.OpenFile(s.path(".out"), os.O_RDWR, 0)
	return stdout, stderr, err
}

// lockDir takes the lock of the spool directory.
func lockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		d.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { d.Close() }, nil
}

// liveOwner returns the process id of a live process with that session; empty when
// there is none.
func liveOwner(dir, session string) (process string, err error) {
	paths, err := listSpools(dir)
	for _, path := range paths {
		if s, process := splitName(path); s == session && held(path) {
			return process, nil
		}
	}
	return "", err
}

// listSpools returns the paths of the spools in a directory, none when that is not
// there.
func listSpools(dir string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".out" {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, err
}

// held reports whether a process holds the spool's lock, which is to say that the
// agent lives. It is taken for alive while that cannot be looked at.
func held(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return Scarce(err)
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// Scarce reports whether an error is for want of descriptors or memory: it says
// nothing of the file, and to try again helps.
func Scarce(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// splitName takes a spool's path apart into session and process id.
func splitName(path string) (session, process string) {
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	session, process, _ = strings.Cut(name, ".")
	return session, process
}

func globQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// save changes the record and writes it.
func (s *spool) save(change func(*record)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.rec)
	return s.saveLocked()
}

// saveLocked writes in place and in one piece, never shorter than before: a
// kill leaves the old record or the new one. (A rename would have the disk
// written in each turn.)
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

// rename follows a change of the session, so that the name always says which
// session is in use.
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

// room reserves space for the answer past the spool's end, so that a disk that
// fills up during the turn cannot swallow it.
func (s *spool) room() error {
	info, err := s.out.Stat()
	if err != nil {
		return err
	}
	if err := allocate(s.out, info.Size(), reserve); err != nil {
		return fmt.Errorf("no room for the answer in %s: %w", s.dir, err)
	}
	return nil
}

// give returns everything before off to the disk.
func (s *spool) give(off int64) {
	if off > s.free && punch(s.out, s.free, off-s.free) == nil {
		s.free = off
	}
}

// stderr returns the last of what the agent wrote there, at most n bytes.
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

// trimErr keeps a flooded stderr from filling the disk.
func (s *spool) trimErr() {
	info, err := os.Stat(s.path(".err"))
	if err != nil || allocated(info) <= errLimit {
		return
	}
	f, err := os.OpenFile(s.path(".err"), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	punch(f, 0, (info.Size()-errTail)/block*block)
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
