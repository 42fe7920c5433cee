package journal

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"

	"iris/config/sys"
)

// create makes an empty journal if there is none. It has a temporary name until it is
// on disk, so that a power failure leaves no incomplete journal.
func (j *Journal) create() error {
	if _, err := os.Lstat(j.path); !errors.Is(err, fs.ErrNotExist) {
		return nil // open reports the error
	}
	j.unnamed = j.path + ".new." + rand.Text()[:8]
	if err := j.write(j.unnamed); err != nil {
		os.Remove(j.unnamed)
		return fmt.Errorf("make journal %s: %w", j.path, err)
	}
	return nil
}

// publish syncs a new journal and gives it its name. It is part of the first commit:
// nothing is acknowledged before, and a process that only opens the journal does not
// wait for the disk.
func (j *Journal) publish() error {
	if j.unnamed != "" {
		if err := j.raw.Sync(); err != nil {
			return err
		}
		if err := renameNew(j.unnamed, j.path); err != nil {
			return err
		}
		j.unnamed = ""
	}
	if j.named {
		return nil
	}
	if err := sys.SyncDir(filepath.Dir(j.path)); err != nil {
		return err
	}
	j.named = true
	return nil
}

// relink is renameNew in two steps.
func relink(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}

// write writes an empty journal to a new file, without a sync. It is made in a
// scratch file first: bbolt would sync it three times.
func (j *Journal) write(name string) (err error) {
	mem, err := scratch(filepath.Dir(name))
	if err != nil {
		return err
	}
	db, err := bolt.Open(name, 0o600, &bolt.Options{
		NoSync: true, NoGrowSync: true, NoStatistics: true,
		OpenFile: func(string, int, os.FileMode) (*os.File, error) { return mem, nil },
	})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Update(wrapped(func(tx *txn) error { return migrate(tx, 0) })); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := mem.Stat()
	if err == nil {
		_, err = io.Copy(f, io.NewSectionReader(mem, 0, info.Size()))
	}
	return err
}

// clean removes the files that a crash left while a journal was made or copied.
func (j *Journal) clean() {
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(j.path), filepath.Base(j.path)+".new.????????"))
	for _, name := range left {
		if info, err := os.Lstat(name); err == nil && time.Since(info.ModTime()) > time.Minute {
			os.Remove(name)
		}
	}
}

// prepare checks the version, writes the buckets of a new journal and migrates
// an old one.
func (j *Journal) prepare() (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer j.rescue(&err)
	var have uint64
	err = j.db.View(wrapped(func(tx *txn) error {
		have, err = readVersion(tx)
		return err
	}))
	switch {
	case err != nil:
		return fmt.Errorf("journal %s: %w", j.path, err)
	case have == version:
		return j.db.View(wrapped(j.complete))
	case have > version:
		return fmt.Errorf("journal %s: version %d was written by a newer iris (this one knows %d)", j.path, have, version)
	}
	err = j.db.Update(wrapped(func(tx *txn) error { return migrate(tx, have) }))
	if err != nil {
		return fmt.Errorf("journal %s: bring version %d to %d: %w", j.path, have, version, err)
	}
	return nil
}

// readVersion returns 0 for a journal without any content.
func readVersion(tx *txn) (uint64, error) {
	b := tx.Bucket(bucketMeta)
	if b == nil {
		if k, _ := tx.Cursor().First(); k != nil {
			return 0, &DamageError{Path: tx.DB().Path(), What: "it has no version"}
		}
		return 0, nil
	}
	v := b.Get(keyVersion)
	if len(v) != 8 || binary.BigEndian.Uint64(v) == 0 {
		return 0, &DamageError{Path: tx.DB().Path(), What: "it has no version"}
	}
	return binary.BigEndian.Uint64(v), nil
}

// complete checks that every bucket and the counts are there.
func (j *Journal) complete(tx *txn) error {
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return &DamageError{Path: j.path, What: fmt.Sprintf("%s is missing", name)}
		}
	}
	_, err := getCounts(tx)
	return err
}

// migrate writes the present layout. Version 1 had sessions only, as plain JSON. In
// version 2 an unknown message that was sent again stayed unknown, and another
// message repeated it. Version 3 had no sums, an index of only three states, and its
// messages as JSON, which stay so until they change.
func migrate(tx *txn, have uint64) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	var err error
	switch have {
	case 0:
		err = new(counts).put(tx)
	case 1:
		err = errors.Join(sealSessions(tx), new(counts).put(tx))
	case 2:
		err = cmp.Or(addIndexes(tx), endSentAgain(tx))
	case 3:
		err = addIndexes(tx)
	}
	if err != nil {
		return err
	}
	return tx.Bucket(bucketMeta).Put(keyVersion, binary.BigEndian.AppendUint64(nil, version))
}

func sealSessions(tx *txn) error {
	old := map[string]Session{}
	err := tx.Bucket(bucketSessions).ForEach(func(k, v []byte) error {
		var s Session
		if err := json.Unmarshal(v, &s); err != nil {
			return fmt.Errorf("session of %q: %w", k, err)
		}
		old[string(k)] = s
		return nil
	})
	if err != nil {
		return err
	}
	for k, s := range old {
		if err := putJSON(tx, bucketSessions, []byte(k), s); err != nil {
			return err
		}
	}
	return nil
}

// endSentAgain ends the unknown messages that another message repeats. If a record
// that may be such a message cannot be read, nothing may be sent again.
func endSentAgain(tx *txn) error {
	repeats, unreadable := map[string]string{}, false // by the id of the repeated message
	var unknown []*Message
	eachMessage(tx, func(_ string, m *Message, err error) error {
		if err != nil {
			unreadable = true
			return nil
		}
		if m.State == Unknown && m.Options.OnUnknown == "retry" {
			unknown = append(unknown, m)
		}
		repeats[m.Options.RetryOf] = m.ID // most repeat none: no message has an empty id
		return nil
	})
	c, err := getCounts(tx)
	if err != nil {
		return err
	}
	for _, m := range unknown {
		switch by := repeats[m.ID]; {
		case by != "":
			m.step(Change{State: Failed, At: m.Ended(), By: "retry", Note: "sent again as " + by})
		case unreadable:
			m.Options.OnUnknown = ""
		}
		if err := putMessage(tx, m, Unknown, c); err != nil {
			return err
		}
	}
	return c.put(tx)
}
