package journal

import (
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// withoutList is a journal that was killed while many of its pages were free.
func withoutList(t *testing.T, file []byte) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	if err := writeSparse(path, file); err != nil {
		t.Fatal(err)
	}
	db := must1(bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true}))(t)
	if err := db.Update(func(*bolt.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if missing, err := unlisted(path); !missing || err != nil {
		t.Fatalf("it has a list, %v", err)
	}
	return must1(os.ReadFile(path))(t)
}

// The free pages of a killed journal are found and used again.
func TestFreePagesOfAKilledJournalAreFound(t *testing.T) {
	j, path := backlog(t, 400, inFile)
	if missing, err := unlisted(path); !missing || err != nil {
		t.Fatalf("it writes the list of %d free pages, %v", j.db.Stats().FreePageN, err)
	}
	free := j.db.Stats().FreePageN
	dir := t.TempDir()
	killed := filepath.Join(dir, "journal")
	if err := writeSparse(killed, must1(os.ReadFile(path))(t)); err != nil {
		t.Fatal(err)
	}
	k := mustOpen(t, killed)
	before := fileSize(t, killed)
	m := message(401)
	m.Body = make([]byte, inFile)
	mustAccept(t, k, m)
	if got := k.db.Stats().FreePageN; got < free-50 || fileSize(t, killed) != before {
		t.Errorf("%d pages are free of %d, and the file has %d bytes after %d", got, free, fileSize(t, killed), before)
	}
	if b, err := k.Body(messageID(400)); err != nil || string(b) != "body 400" {
		t.Errorf("the message that was kept: %q, %v", b, err)
	}
	if err := k.Check(); err != nil {
		t.Error(err)
	}
	k.Close()
	if missing, err := unlisted(killed); missing || err != nil {
		t.Errorf("Close writes no list, %v", err)
	}
	if err := holds(killed, nil); err != nil {
		t.Error(err)
	}
}
