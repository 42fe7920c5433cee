package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// version is that of the layout. A journal with a higher version was written by a
// newer iris and is refused.
const version = 4

// mapSize is the address space that the file gets at first. It should seldom outgrow
// that: a writer that remaps the file waits for readers.
const mapSize = 64 << 20

// growSize is how much the file grows at a time; each time takes one more fsync.
const growSize = 4 << 20

// Journal is an open journal. Close it.
type Journal struct {
	path    string
	dir     string         // of large bodies and results
	wake    chan struct{}  // to the committer
	wg      sync.WaitGroup // counts the committer, and a caller that commits
	unnamed string         // temporary name of a new journal's file until it is on disk
	named   bool           // its directory has been synced; after Open only the committing goroutine uses both

	stopped atomic.Pointer[StoppedError]
	changed atomic.Pointer[keySet] // of the Compact that runs
	wrecked atomic.Bool            // bbolt panicked, perhaps with locks held

	whole sync.Mutex // held for reading everything in one transaction; before life

	life sync.RWMutex // held for reading while db is used; protects db, raw, file, over
	db   *bolt.DB     // nil when closed
	over bool         // closed for good
	raw  *os.File     // its file
	file os.FileInfo

	mu      sync.Mutex // protects the fields below; held for a moment
	waiting []*change
	busy    bool // a goroutine commits the waiting changes
	closed  bool
}

// Open opens the journal at path, or makes it with mode 0600. The error names the
// file and its problem: held by another process, written by a newer version, damaged.
// An older version is migrated completely or not at all.
func Open(path string) (*Journal, error) {
	j := &Journal{
		path: path, dir: filepath.Join(filepath.Dir(path), "bodies"),
		wake: make(chan struct{}, 1),
	}
	err := j.create()
	if err == nil {
		err = j.open()
	}
	if err == nil {
		err = j.prepare()
	}
	if err == nil {
		err = j.sweep()
	}
	j.clean()
	if err != nil {
		j.release()
		return nil, err
	}
	j.wg.Go(j.commitAll)
	return j, nil
}

// open opens the file and checks that it is complete.
func (j *Journal) open() (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			j.wrecked.Store(true)
			err = &DamageError{Path: j.path, What: fmt.Sprint(p)}
		}
	}()
	path := cmp.Or(j.unnamed, j.path)
	if err := inspect(path); err != nil {
		return j.notOpened(err)
	}
	j.db, err = bolt.Open(j.path, 0o600, &bolt.Options{
		Timeout: 2 * time.Second, InitialMmapSize: mapSize, FreelistType: bolt.FreelistMapType,
		OpenFile: func(_ string, flag int, mode os.FileMode) (*os.File, error) {
			var err error
			j.raw, err = os.OpenFile(path, flag, mode)
			return j.raw, err
		},
	})
	if err != nil {
		return j.notOpened(err)
	}
	j.db.AllocSize = growSize
	if j.file, err = j.raw.Stat(); err != nil {
		return err
	}
	return j.db.View(func(tx *bolt.Tx) error { return whole(path, tx) })
}

func (j *Journal) notOpened(err error) error {
	if _, damaged := errors.AsType[*DamageError](err); damaged {
		return err
	}
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("journal %s is held by another process", j.path)
	case errors.Is(err, fs.ErrPermission):
		return err
	}
	return fmt.Errorf("journal %s cannot be read: %w", j.path, err)
}

// Close commits the changes handed over before it, ends the committer and closes the
// file. Do not use the Journal afterwards; a second Close does nothing.
func (j *Journal) Close() error {
	j.mu.Lock()
	if !j.closed {
		j.closed = true
		close(j.wake)
	}
	j.mu.Unlock()
	j.wg.Wait()
	return j.release()
}

// release closes the file. After a panic inside bbolt its locks may be held for ever:
// then only the file's lock, which the mapping would keep, and the descriptor are
// released.
func (j *Journal) release() error {
	j.life.Lock()
	defer j.life.Unlock()
	if j.unnamed != "" { // nothing in it was acknowledged
		os.Remove(j.unnamed)
	}
	err := j.list()
	db := j.db
	j.db, j.over = nil, true
	if j.wrecked.Load() {
		if j.raw == nil {
			return nil
		}
		raw := j.raw
		j.raw = nil
		return errors.Join(syscall.Flock(int(raw.Fd()), syscall.LOCK_UN), raw.Close())
	}
	if db == nil {
		return nil
	}
	return errors.Join(err, db.Close())
}
