package journal

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// writeVersion1 makes a journal as it was before there were messages.
func writeVersion1(t *testing.T, path string) {
	t.Helper()
	db := must1(bolt.Open(path, 0o600, nil))(t)
	defer db.Close()
	err := db.Update(func(tx *bolt.Tx) error {
		sessions, err := tx.CreateBucket(bucketSessions)
		if err != nil {
			return err
		}
		for i := range 300 {
			v, _ := json.Marshal(Session{ID: fmt.Sprint(i), Dir: "/srv", Created: at(i)})
			if err := sessions.Put(fmt.Appendf(nil, "team%03d", i), v); err != nil {
				return err
			}
		}
		meta, err := tx.CreateBucket(bucketMeta)
		if err != nil {
			return err
		}
		return meta.Put(keyVersion, []byte{0, 0, 0, 0, 0, 0, 0, 1})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkVersion1(t *testing.T, path string) {
	t.Helper()
	j := mustOpen(t, path)
	defer j.Close()
	n := 0
	err := j.Sessions(func(key string, s Session) error {
		if key != fmt.Sprintf("team%03d", n) || s.ID != fmt.Sprint(n) || s.Dir != "/srv" || !s.Created.Equal(at(n)) {
			return fmt.Errorf("%s: got %+v", key, s)
		}
		n++
		return nil
	})
	if err != nil || n != 300 {
		t.Fatalf("%d sessions, %v", n, err)
	}
	mustAccept(t, j, message(1))
	if err := j.Check(); err != nil {
		t.Fatal(err)
	}
}

func TestVersion1IsMigrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	writeVersion1(t, path)
	checkVersion1(t, path)
}

func TestAMigrationThatFailsChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	writeVersion1(t, path)
	db := must1(bolt.Open(path, 0o600, nil))(t)
	db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketSessions).Put([]byte("team299"), []byte("{")) })
	db.Close()
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "team299") {
		t.Fatalf("got %v", err)
	}
	db = must1(bolt.Open(path, 0o600, nil))(t)
	defer db.Close()
	db.View(func(tx *bolt.Tx) error {
		if v, err := readVersion(tx); v != 1 || err != nil || tx.Bucket(bucketMessages) != nil {
			t.Errorf("version %d, %v", v, err)
		}
		return nil
	})
}
