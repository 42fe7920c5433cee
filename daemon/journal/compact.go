package journal

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"iris/config/sys"
)

// bbolt never makes its file smaller, and each transaction writes the list of the free
// pages, 8 bytes for each. So the file is worth a copy if at least compactLeast of it
// are free, and these are half of it or compactMost.
const (
	compactLeast = 16 << 20
	compactMost  = 64 << 20
)

// copyGroup limits the bytes that one transaction of a copy reads.
const copyGroup = 1 << 20

// The pause after a part of background work, as a multiple of its time. A copy only reads
// what others use.
const copyRest = 4

// A pruning commits too. Each of a message's four changes may have to wait for it, so it
// takes only a twentieth of the time. It is a variable for tests, which pause less.
var pruneRest time.Duration = 19

// rest pauses after a part of background work, or returns why ctx has ended.
func rest(ctx context.Context, began time.Time, factor time.Duration) error {
	sys.Sleep(ctx, factor*time.Since(began))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// copySpare is how much of the disk a copy leaves to everything else.
const copySpare = 64 << 20

// Compact copies the journal to a new file, puts that in its place, and returns how many
// bytes that gave back to the disk; 0 if too little of the file is free. Other calls go
// on beside it; only at its end they wait for some milliseconds. It reads everything
// first, and copies no damaged journal. After an error, also that of ctx, the journal is
// as before.
func (j *Journal) Compact(ctx context.Context) (freed int64, err error) {
	worth, err := j.wasteful()
	if err != nil || !worth {
		return 0, err
	}
	if err := j.Check(); err != nil {
		return 0, err
	}
	return j.compact(ctx)
}

// wasteful reports whether the file is worth a copy. An error may say that the disk has no
// room for one.
func (j *Journal) wasteful() (worth bool, err error) {
	var used int64
	err = j.view(func(tx *txn) error {
		free := int64(j.db.Stats().FreeAlloc)
		used = tx.Size() - free
		worth = worthCopy(free, used)
		return nil
	})
	if err != nil || !worth {
		return false, err
	}
	if room, err := sys.FreeSpace(filepath.Dir(j.path)); err == nil {
		return true, roomForCopy(room, used)
	}
	return true, nil
}

func worthCopy(free, used int64) bool {
	return free >= compactLeast && (free >= used || free >= compactMost)
}

// roomForCopy is nil if a disk with room bytes free has room for a copy of used bytes.
func roomForCopy(room, used int64) error {
	if need := used + copySpare; room < need {
		return fmt.Errorf("its disk has %d MB free, and a copy needs %d MB", room>>20, need>>20)
	}
	return nil
}

func (j *Journal) compact(ctx context.Context) (int64, error) {
	c, err := j.beginCopy()
	if err == nil {
		defer j.abandon(c)
		err = j.copyAll(ctx, c)
	}
	if err == nil {
		err = c.db.Sync() // most of it; the rest is synced while the others wait
	}
	var freed int64
	if err == nil {
		freed, err = j.swap(c)
	}
	if err != nil {
		return 0, fmt.Errorf("compact journal %s: %w", j.path, err)
	}
	return freed, nil
}

// A duplicate is the new file of a compaction.
type duplicate struct {
	path    string
	db      *bolt.DB
	changed keySet // keys changed since the copy began; only the committing goroutine uses it, and swap
}

// beginCopy makes an empty copy. From then on each change of the journal is noted.
func (j *Journal) beginCopy() (*duplicate, error) {
	c := &duplicate{path: j.path + ".new." + rand.Text()[:8], changed: keySet{}}
	db, err := bolt.Open(c.path, 0o600, &bolt.Options{
		NoSync: true, NoGrowSync: true, NoStatistics: true, FreelistType: bolt.FreelistMapType,
		OpenFile: func(name string, _ int, mode os.FileMode) (*os.File, error) {
			return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
		},
	})
	if err != nil {
		return nil, err
	}
	c.db = db
	c.db.AllocSize = growSize
	if err := c.makeBuckets(); err != nil {
		j.abandon(c)
		return nil, err
	}
	err = j.update(func(tx *txn) error {
		tx.changed = c.changed
		j.changed.Store(&c.changed)
		return errPing
	})
	if err != errPing {
		j.abandon(c)
		return nil, err
	}
	return c, nil
}

// abandon ends the noting of changed keys, and removes a copy that has not taken the place
// of the journal.
func (j *Journal) abandon(c *duplicate) {
	j.changed.Store(nil)
	c.db.Close()
	os.Remove(c.path)
}

// copyAll copies every bucket, in short transactions.
func (j *Journal) copyAll(ctx context.Context, c *duplicate) error {
	for _, name := range slices.Concat(buckets, lateBuckets) {
		for at, more := []byte(nil), true; more; {
			began := time.Now()
			var group []pair
			var err error
			if group, more, err = j.pairs(name, at); err != nil {
				return err
			}
			if err := c.put(name, group); err != nil {
				return err
			}
			if more {
				at = group[len(group)-1].key
			}
			if err := rest(ctx, began, copyRest); err != nil {
				return err
			}
		}
	}
	return nil
}

type pair struct{ key, value []byte }

// pairs reads about copyGroup bytes of a bucket after the key at, which is nil at first.
func (j *Journal) pairs(name, at []byte) (group []pair, more bool, err error) {
	err = j.viewMany(func(tx *txn) error {
		group, more = nil, false
		b := tx.Bucket(name)
		if b == nil { // of lateBuckets
			return nil
		}
		c := b.Cursor()
		k, v := after(c, at)
		for n := 0; k != nil; k, v = c.Next() {
			if n > copyGroup || len(group) == chunk {
				more = true
				return nil
			}
			n += len(k) + len(v)
			group = append(group, pair{append([]byte(nil), k...), append([]byte(nil), v...)})
		}
		return nil
	})
	return group, more, err
}

func (c *duplicate) makeBuckets() error {
	return c.db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// put adds a group of pairs, which are in order, to the end of a bucket.
func (c *duplicate) put(name []byte, group []pair) error {
	if len(group) == 0 {
		return nil
	}
	return c.db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(name)
		if err != nil {
			return err
		}
		b.FillPercent = 0.9
		for _, p := range group {
			if err := b.Put(p.key, p.value); err != nil {
				return err
			}
		}
		return nil
	})
}

// swap copies what has changed since the copy began, and puts the copy in the place of
// the journal. If we crash before the rename is on disk, either file has everything.
func (j *Journal) swap(c *duplicate) (freed int64, err error) {
	j.whole.Lock()
	defer j.whole.Unlock()
	j.life.Lock() // ends every transaction
	defer j.life.Unlock()
	if s := j.stopped.Load(); s != nil {
		return 0, s
	}
	if j.over {
		return 0, ErrClosed
	}
	if err := j.present(); err != nil {
		return 0, j.stop(err)
	}
	before := j.file.Size()
	if info, err := j.raw.Stat(); err == nil {
		before = info.Size()
	}
	if err := c.catchUp(j.db); err != nil {
		return 0, err
	}
	if err := c.db.Close(); err != nil {
		return 0, err
	}
	if err := os.Rename(c.path, j.path); err != nil {
		return 0, err
	}
	if err := j.synced(filepath.Dir(j.path)); err != nil {
		return 0, err
	}
	if err := j.db.Close(); err != nil {
		return 0, j.stop(err)
	}
	if err := j.open(); err != nil {
		return 0, j.stop(err)
	}
	return before - j.file.Size(), nil
}

// catchUp brings the copy up to date with the journal, and syncs it.
func (c *duplicate) catchUp(from *bolt.DB) error {
	c.db.NoSync = false
	return from.View(func(old *bolt.Tx) error {
		return c.db.Update(func(tx *bolt.Tx) error {
			for k := range c.changed {
				if err := copyKey(tx, old, k); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// copyKey makes a key of one transaction what it is in another.
func copyKey(tx, from *bolt.Tx, k bucketKey) error {
	b, err := tx.CreateBucketIfNotExists([]byte(k.bucket))
	if err != nil {
		return err
	}
	if v := from.Bucket([]byte(k.bucket)).Get([]byte(k.key)); v != nil {
		return b.Put([]byte(k.key), v)
	}
	return b.Delete([]byte(k.key))
}
