package journal

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func mustOpen(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestSessionsSurviveReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := mustOpen(t, path)
	if _, ok, err := j.Session("api"); ok || err != nil {
		t.Fatalf("empty journal: got ok %v, err %v", ok, err)
	}
	want := Session{ID: "5b0c", Dir: "/srv/api", Created: time.Unix(1, 0).UTC()}
	if err := j.SetSession("api", want); err != nil {
		t.Fatal(err)
	}
	if err := j.SetSession("api@review", Session{ID: "77aa"}); err != nil {
		t.Fatal(err)
	}
	j.Close()

	j = mustOpen(t, path)
	got, ok, err := j.Session("api")
	if err != nil || !ok || got != want {
		t.Fatalf("got %+v %v %v, want %+v", got, ok, err, want)
	}
	var keys []string
	err = j.Sessions(func(key string, s Session) error { keys = append(keys, key+"="+s.ID); return nil })
	if err != nil || strings.Join(keys, " ") != "api=5b0c api@review=77aa" {
		t.Fatalf("got %v, %v", keys, err)
	}
}

// TestDamagedSessionHidesNoOther: the agents of all the others are looked for.
func TestDamagedSessionHidesNoOther(t *testing.T) {
	j, _ := tempJournal(t)
	for _, key := range []string{"a", "b", "c"} {
		if err := j.SetSession(key, Session{ID: key}); err != nil {
			t.Fatal(err)
		}
	}
	err := j.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketSessions).Put([]byte("b"), []byte("xxxx{}")) })
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	err = j.Sessions(func(key string, _ Session) error { keys = append(keys, key); return nil })
	if _, ok := errors.AsType[*DamageError](err); !ok || strings.Join(keys, " ") != "a c" {
		t.Fatalf("got %v, %v", keys, err)
	}
}

// mustSession writes something, so that a new journal has its name.
func mustSession(t *testing.T, j *Journal) {
	t.Helper()
	if err := j.SetSession("api", Session{ID: "5b0c"}); err != nil {
		t.Fatal(err)
	}
}

func TestOneOfTwoNewJournalsGetsTheName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	a, b := mustOpen(t, path), mustOpen(t, path)
	errs := []error{a.SetSession("api", Session{ID: "a"}), b.SetSession("api", Session{ID: "b"})}
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("got %v and %v, want one of them to be refused", errs[0], errs[1])
	}
	for i, j := range []*Journal{a, b} {
		if s, ok, err := j.Session("api"); errs[i] == nil && (err != nil || !ok || s.ID != string("ab"[i])) {
			t.Errorf("the one that has the name: got %+v, %v, %v", s, ok, err)
		}
		j.Close()
	}
	left, _ := filepath.Glob(path + "*")
	if len(left) != 1 {
		t.Errorf("left: %q", left)
	}
}

func TestFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	mustSession(t, mustOpen(t, path))
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("got %v, %v, want mode 0600", fi.Mode(), err)
	}
}

func TestNewerVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := mustOpen(t, path)
	mustSession(t, j)
	err := j.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keyVersion, binary.BigEndian.AppendUint64(nil, version+1))
	})
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "newer iris") {
		t.Fatalf("got %v, want a refusal that names the newer version", err)
	}
}

func TestHeldAndDamagedAreNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	mustSession(t, mustOpen(t, path))
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "held by another process") {
		t.Fatalf("second open: got %v", err)
	}
	bad := filepath.Join(t.TempDir(), "journal.db")
	if err := os.WriteFile(bad, []byte(strings.Repeat("not a journal ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(bad); err == nil || !strings.Contains(err.Error(), bad) {
		t.Fatalf("damaged: got %v, want the file's name", err)
	}
}
