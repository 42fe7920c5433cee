package journal

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"iris/config/sys"
)

// inFile is the size above which a body or result gets its own file: bbolt never
// gives the space of large values back.
const inFile = 64 << 10

// inRecord is the size up to which it is a part of its message's record: a
// transaction then writes two or three pages less, and no page is left half empty.
const inRecord = 1536

// nameLength is the length of the random end of a file's name.
const nameLength = 8

// Content describes a body or a result. Body and Result read it.
type Content struct {
	Size   int64  `json:"size"`
	Sum    string `json:"sha256,omitempty"`
	Inline []byte `json:"inline,omitempty"` // the whole content, if it is short
	File   string `json:"file,omitempty"`   // name in bodies/, if it is long
}

// encodeResult writes a result as one line of JSON, followed by its plain text, which
// may have many megabytes.
func encodeResult(r *Result) ([]byte, error) {
	short := *r
	short.Text = ""
	head, err := json.Marshal(short)
	if err != nil {
		return nil, err
	}
	return append(append(head, '\n'), r.Text...), nil
}

func decodeResult(b []byte) (*Result, error) {
	head, text, ok := bytes.Cut(b, []byte("\n"))
	if !ok {
		return nil, errors.New("the result is cut short")
	}
	r := new(Result)
	if err := json.Unmarshal(head, r); err != nil {
		return nil, err
	}
	r.Text = string(text)
	return r, nil
}

func describe(b []byte) Content {
	s := sha256.Sum256(b)
	c := Content{Size: int64(len(b)), Sum: hex.EncodeToString(s[:])}
	if len(b) <= inRecord {
		c.Inline = b
	}
	return c
}

// apart reports whether the content is not in the record of its message.
func (c Content) apart() bool { return c.Size > 0 && len(c.Inline) == 0 }

// check says how b differs from this content.
func (c Content) check(b []byte) error {
	switch got := describe(b); {
	case got.Size != c.Size:
		return fmt.Errorf("it has %d bytes instead of %d", got.Size, c.Size)
	case got.Sum != c.Sum:
		return errSum
	}
	return nil
}

// store describes b, and writes a large one to a file; the file and its name are
// synced. The name is new each time: a file that a lost transaction has left is never
// overwritten.
func (j *Journal) store(id, kind string, b []byte) (Content, error) {
	c := describe(b)
	if len(b) <= inFile {
		return c, nil
	}
	if s := j.stopped.Load(); s != nil {
		return c, s
	}
	c.File = id + "." + kind + "." + rand.Text()[:nameLength]
	err := j.makeDir()
	if err == nil {
		err = j.writeFile(c.File, b)
	}
	if _, stopped := errors.AsType[*StoppedError](err); !stopped && noRoom(err) {
		err = &StoppedError{Path: filepath.Join(j.dir, c.File), Full: true, Err: err}
	}
	return c, err
}

func (j *Journal) makeDir() error {
	err := os.Mkdir(j.dir, 0o700)
	if err == nil {
		return j.synced(filepath.Dir(j.dir))
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (j *Journal) writeFile(name string, b []byte) error {
	path := filepath.Join(j.dir, name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		if err = f.Sync(); err != nil {
			err = j.stop(err)
		}
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = j.synced(j.dir)
	}
	if err != nil {
		os.Remove(path)
	}
	return err
}

// synced syncs a directory; if that fails, the journal stops.
func (j *Journal) synced(dir string) error {
	if err := sys.SyncDir(dir); err != nil {
		return j.stop(err)
	}
	return nil
}

// discard removes the file of content that no record names.
func (j *Journal) discard(c Content) {
	if c.File != "" {
		os.Remove(filepath.Join(j.dir, c.File))
	}
}

// keep stores content that is neither in the record nor in a file of its own.
func keep(tx *txn, bucket []byte, id string, c Content, b []byte, n *counts) error {
	switch {
	case c.File != "":
		n.Files += c.Size
		return nil
	case c.Size <= inRecord:
		return nil
	}
	return put(tx, bucket, []byte(id), b)
}

// load returns the content of a message after checking it.
func (j *Journal) load(id string, bucket []byte, of func(*Message) Content) (b []byte, c Content, err error) {
	err = j.view(func(tx *txn) error {
		m, err := getMessage(tx, id)
		if err != nil {
			return err
		}
		switch c = of(m); {
		case c.File != "":
			return nil
		case !c.apart(): // an earlier iris kept less in the record
			b = append([]byte{}, c.Inline...)
			return nil
		}
		v, err := get(tx, bucket, []byte(id))
		if err != nil {
			return damaged(tx, id, fmt.Errorf("%s: %w", bucket, err))
		}
		b = append(b, v...) // if it is missing, its size is wrong
		return nil
	})
	if err != nil || c.Sum == "" {
		return nil, c, err
	}
	if c.File != "" {
		if b, err = os.ReadFile(filepath.Join(j.dir, c.File)); err != nil {
			return nil, c, j.unreadable(id, c, err)
		}
	}
	if err := c.check(b); err != nil {
		return nil, c, &DamageError{Path: j.where(c), ID: id, What: err.Error()}
	}
	return b, c, nil
}

func (j *Journal) where(c Content) string {
	if c.File != "" {
		return filepath.Join(j.dir, c.File)
	}
	return j.path
}

// unreadable tells a lost file from a file that was pruned meanwhile.
func (j *Journal) unreadable(id string, c Content, err error) error {
	if _, gone := j.Message(id); errors.Is(gone, ErrNotFound) {
		return gone
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &DamageError{Path: j.where(c), ID: id, What: "the file is missing"}
	}
	return err
}

// ownerOf returns the id of the message that a file in bodies/ belongs to; false if the
// journal gives no file such a name.
func ownerOf(name string) (id string, ok bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 3 || parts[1] != "body" && parts[1] != "result" || len(parts[2]) != nameLength {
		return "", false
	}
	return parts[0], checkID(parts[0]) == nil
}

// sweep removes the files that no record names: their transactions were lost.
func (j *Journal) sweep() (err error) {
	entries, err := os.ReadDir(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("journal %s: %w", j.path, err)
	}
	for _, e := range entries {
		id, ok := ownerOf(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue // not a file of the journal
		}
		var m *Message
		err := j.view(func(tx *txn) (err error) {
			m, err = getMessage(tx, id)
			return err
		})
		if errors.Is(err, ErrNotFound) || err == nil && m.Body.File != e.Name() && m.Result.File != e.Name() {
			err = os.Remove(filepath.Join(j.dir, e.Name()))
		} else if isDamage(err) {
			err = nil // the file may belong to the damaged record: keep it
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("journal %s: %w", j.path, err)
		}
	}
	return nil
}

func isDamage(err error) bool {
	d, ok := errors.AsType[*DamageError](err)
	return ok && d.ID != ""
}
