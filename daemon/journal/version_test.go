package journal

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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
		if v, err := readVersion(&txn{Tx: tx}); v != 1 || err != nil || tx.Bucket(bucketMessages) != nil {
			t.Errorf("version %d, %v", v, err)
		}
		return nil
	})
}

// version2 is a journal as iris wrote it before a message that is sent again became
// another attempt: m1 is done, m2 unknown and repeated by m3, m4 unknown and to be
// sent again, m5 unknown and holds its conversation, m6 is running, m7 queued.
func version2(t *testing.T) (path string) { return earlier(t, "version2") }

// earlier copies a journal of an earlier version.
func earlier(t *testing.T, name string) (path string) {
	t.Helper()
	f := must1(os.Open(filepath.Join("testdata", name+".gz")))(t)
	defer f.Close()
	z := must1(gzip.NewReader(f))(t)
	path = filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(path, must1(io.ReadAll(z))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVersion2IsMigrated(t *testing.T) {
	path := version2(t)
	j := mustOpen(t, path)
	defer func() { j.Close() }()
	for range 2 { // the second time it is of this version
		if err := j.Check(); err != nil {
			t.Fatal(err)
		}
		var states []State
		for i := range 7 {
			m := must1(j.Message(fmt.Sprintf("01m000000000000%d", i+1)))(t)
			states = append(states, m.State)
			if b := must1(j.Body(m.ID))(t); string(b) != "text of "+m.ID {
				t.Errorf("%s: body %q", m.ID, b)
			}
		}
		if !slices.Equal(states, []State{Done, Failed, Done, Unknown, Unknown, Running, Queued}) {
			t.Errorf("got %v", states)
		}
		m := must1(j.Message("01m0000000000002"))(t)
		if last := m.History[len(m.History)-1]; last.By != "retry" || last.Note != "sent again as 01m0000000000003" {
			t.Errorf("got %+v", last)
		}
		if r := must1(j.Result("01m0000000000001"))(t); r.Text != "one" || r.Usage.Output != 4 {
			t.Errorf("got %+v", r)
		}
		if s, ok, err := j.Session("api"); !ok || err != nil || s.ID != "s1" {
			t.Errorf("got %+v, %v", s, err)
		}
		if got := ids(t, j.Unresolved()); len(got) != 2 {
			t.Errorf("unresolved: %v", got)
		}
		j.Close()
		j = mustOpen(t, path)
	}
}

// A message that cannot be read may be the repetition of an unknown one.
func TestMigrationSendsNothingAgainBesideADamagedMessage(t *testing.T) {
	path := version2(t)
	overwrite(t, path, []byte(`"retry_of":"01m0000000000002"`), []byte(`"retry_of":"01m0000000000004"`))
	j := mustOpen(t, path)
	defer j.Close()
	for _, id := range []string{"01m0000000000002", "01m0000000000004"} {
		if m := must1(j.Message(id))(t); m.State != Unknown || m.Options.OnUnknown != "" {
			t.Errorf("%s: got %s, %q", id, m.State, m.Options.OnUnknown)
		}
	}
	_, err := j.Message("01m0000000000003")
	if _, ok := errors.AsType[*DamageError](err); !ok {
		t.Errorf("got %v", err)
	}
	if m := must1(j.Message("01m0000000000005"))(t); !m.Holds() {
		t.Errorf("the message that held its conversation: got %+v", m)
	}
}

// revise changes a message of a journal of an earlier version, whose records are JSON.
func revise(t *testing.T, path, id string, change func(*Message)) {
	t.Helper()
	db := must1(bolt.Open(path, 0o600, nil))(t)
	defer db.Close()
	err := db.Update(wrapped(func(tx *txn) error {
		b, err := get(tx, bucketMessages, []byte(id))
		if err != nil {
			return err
		}
		h := must1(decodeHead(b))(t)
		m := must1(h.message(id, true))(t)
		change(m)
		return put(tx, bucketMessages, []byte(id), append(b[:len(b)-len(h.rest):len(b)-len(h.rest)], must1(json.Marshal(m))(t)...))
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// What a sender wants of an unknown end concerns no message with another one, or with none yet.
func TestMigrationEndsOnlyUnknownMessages(t *testing.T) {
	path := version2(t)
	want := map[string]State{"01m0000000000001": Done, "01m0000000000006": Running, "01m0000000000007": Queued}
	for id := range want {
		revise(t, path, id, func(m *Message) { m.Options.OnUnknown = "retry" })
	}
	revise(t, path, "01m0000000000003", func(m *Message) { m.Options.RetryOf = "01m0000000000006" })
	j := mustOpen(t, path)
	for id, state := range want {
		if m := must1(j.Message(id))(t); m.State != state {
			t.Errorf("%s is %s, want %s", id, m.State, state)
		}
	}
	if err := j.Check(); err != nil {
		t.Error(err)
	}
}

// version3 has what version2 has, and messages in every state, with short and longer
// texts, one of a session of its own, and an own turn.
func TestVersion3IsMigrated(t *testing.T) {
	path := earlier(t, "version3")
	j := mustOpen(t, path)
	defer func() { j.Close() }()
	const sums = `1 00:00 api@: 5, 0.75, 10 in
1 00:00 api@s: 1, 0.25, 10 in; own: 1, 0.125, 5 in
1 00:00 api@~: 1, 0.25, 10 in
1 00:00 api@: 5, 0.75, 3 in
`
	for range 2 { // the second time it is of this version
		if err := j.Check(); err != nil {
			t.Fatal(err)
		}
		if got := inWords(t, j.Days(Filter{})); got != sums {
			t.Errorf("got\n%s", got)
		}
		for state, want := range map[State]int{Queued: 2, Running: 1, Done: 5, Failed: 2, Cancelled: 1, Expired: 1, Unknown: 3} {
			if got := ids(t, j.List(Filter{States: []State{state}})); len(got) != want {
				t.Errorf("%s: got %v", state, got)
			}
		}
		if r := must1(j.Result("01m0000000000011"))(t); len(r.Text) != 1200 || r.Usage.CacheWrite != 2 {
			t.Errorf("got %+v", r)
		}
		if b := must1(j.Body("01m0000000000011"))(t); len(b) != 1000 {
			t.Errorf("body of %d bytes", len(b))
		}
		j.Close()
		j = mustOpen(t, path)
	}
	m := must1(j.Dispatch("01m0000000000016", attempt(30)))(t) // a record as it was, then as it is
	if m = must1(j.Message(m.ID))(t); m.State != Running || m.Options.Variant.Value().Model != "opus" || m.Options.Key != "k" || len(m.History) != 2 {
		t.Errorf("got %+v", m)
	}
	must1(j.Prune(context.Background(), at(1000), at(1000)))(t)
	if err := j.Check(); err != nil {
		t.Error(err)
	}
}
