package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
)

// listedPages is how many free pages are listed in the file. bbolt writes their whole
// list with each transaction: 8 bytes for each of them. Of a journal with more, only Close
// writes it; after a kill the next Open reads the whole journal to find them.
const listedPages = 1000

// keepList has the next commit of a write transaction write the list of free pages if it
// is short.
func keepList(tx *bolt.Tx) {
	db := tx.DB()
	db.NoFreelistSync = db.Stats().FreePageN > listedPages
}

// list writes a list that is missing.
func (j *Journal) list() (err error) {
	if j.db == nil || !j.db.NoFreelistSync || j.stopped.Load() != nil {
		return nil
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer j.rescue(&err)
	for range 2 { // each transaction writes one of the two pages of metadata
		err = errors.Join(err, j.db.Update(func(tx *bolt.Tx) error {
			tx.DB().NoFreelistSync = false
			return nil
		}))
	}
	return err
}

// Where bbolt's two pages of metadata have things. They are one page apart.
const (
	metaPageSize = 24 // 32 bits
	metaFreelist = 48 // 64 bits
	noFreelist   = ^uint64(0)
)

// unlisted reports whether a file has no list of free pages in either page of metadata.
func unlisted(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	first := make([]byte, metaFreelist+8)
	if _, err := f.ReadAt(first, 0); err != nil {
		return false, nil // bolt.Open says what is wrong
	}
	second := make([]byte, 8)
	f.ReadAt(second, int64(binary.NativeEndian.Uint32(first[metaPageSize:]))+metaFreelist)
	return binary.NativeEndian.Uint64(first[metaFreelist:]) == noFreelist || binary.NativeEndian.Uint64(second) == noFreelist, nil
}

// inspect checks the structure of a file without a list of free pages. bbolt reads all of
// such a file when it opens it, in a goroutine of its own: a fault there would end the
// process.
func inspect(path string) error {
	missing, err := unlisted(path)
	if err != nil || !missing {
		return err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 2 * time.Second, ReadOnly: true})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		if err := whole(path, tx); err != nil {
			return err
		}
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			var last []byte
			return b.ForEach(func(k, v []byte) error {
				inner := v == nil // of no bucket that iris makes
				if inner || misplaced(b, last, k, v) {
					return disorder(path, name, k)
				}
				last = k
				return nil
			})
		})
	})
}

// whole checks that a file is as long as its transaction says.
func whole(path string, tx *bolt.Tx) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if have := info.Size(); have < tx.Size() {
		return &DamageError{Path: path, What: fmt.Sprintf("%d of its %d bytes are missing", tx.Size()-have, tx.Size())}
	}
	return nil
}
