package journal

import (
	"context"
	bolt "go.etcd.io/bbolt"

	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"iris/pool/turn"
)

// damageable makes a journal with every kind of record, and returns its file and the
// expected content.
func damageable(t *testing.T, dir string) (file []byte, want map[string]string) {
	t.Helper()
	path := filepath.Join(dir, "journal")
	j := mustOpen(t, path)
	for i := range 120 {
		n := message(i)
		n.Options.Key = n.ID
		n.Body = bytes.Repeat([]byte{byte(i)}, i%5*400)
		mustAccept(t, j, n)
		if i%4 > 0 {
			must1(j.Dispatch(n.ID, attempt(i)))(t)
		}
		if i%4 > 1 {
			must1(j.End(n.ID, End{State: []State{Done, Unknown}[i%2], At: at(i), Result: &Result{Result: turn.Result{Outcome: "success", Text: fmt.Sprint("answer ", i)}}}))(t)
		}
	}
	for i := range 5 {
		if err := j.SetSession(fmt.Sprint("team", i), Session{ID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	must1(j.Prune(context.Background(), at(10), at(0)))(t)
	want, bad := dump(j)
	if bad != nil {
		t.Fatal(bad)
	}
	j.Close()
	return must1(os.ReadFile(path))(t), want
}

// dump reads everything. Errors are collected; what they hide is left out.
func dump(j *Journal) (all map[string]string, bad []error) {
	all = map[string]string{}
	note := func(err error) {
		if err != nil {
			bad = append(bad, err)
		}
	}
	for m, err := range j.List(Filter{}) {
		if note(err); err != nil {
			continue
		}
		all["message "+m.ID] = fmt.Sprintf("%+v", m)
		b, err := j.Body(m.ID)
		if note(err); err == nil {
			all["body "+m.ID] = string(b)
		}
		r, err := j.Result(m.ID)
		if note(err); err == nil && r != nil {
			all["result "+m.ID] = fmt.Sprintf("%+v", r)
		}
	}
	for s, seq := range map[State]func(func(Message, error) bool){Queued: j.Queued(), Running: j.Running(), Unknown: j.Unresolved()} {
		n := 0
		for m, err := range seq {
			if note(err); err == nil {
				all[fmt.Sprintf("%s %d", s, n)] = m.ID
				n++
			}
		}
	}
	note(j.Sessions(func(k string, s Session) error { all["session "+k] = fmt.Sprintf("%+v", s); return nil }))
	return all, bad
}

// judge opens a damaged file and checks that each read is right or reports the
// damage.
func judge(t *testing.T, dir string, file []byte, want map[string]string, what string) (refused, reported, harmless int) {
	t.Helper()
	path := filepath.Join(dir, "damaged")
	if err := writeSparse(path, file); err != nil {
		t.Fatal(err)
	}
	j, err := Open(path)
	if err != nil {
		if !strings.Contains(err.Error(), path) {
			t.Fatalf("%s: the file is not named: %v", what, err)
		}
		if strings.Contains(err.Error(), "held by another process") {
			t.Fatalf("%s: the file of the damage before is still locked", what)
		}
		return 1, 0, 0
	}
	defer j.Close()
	got, bad := dump(j)
	checked := j.Check()
	for k, v := range got {
		indexed := strings.HasPrefix(k, string(Queued)) || strings.HasPrefix(k, string(Running)) || strings.HasPrefix(k, string(Unknown))
		if v != want[k] && !(indexed && bad != nil) {
			t.Fatalf("%s: silently wrong: %s: got %q, want %q (%v)", what, k, v, want[k], checked)
		}
	}
	if len(got) != len(want) && checked == nil {
		t.Fatalf("%s: %d of %d values are there, and nothing is reported", what, len(got), len(want))
	}
	if checked == nil && bad == nil {
		return 0, 0, 1
	}
	return 0, 1, 0
}

// overwrite puts bytes of the same length in the place of others in a file that has those.
func overwrite(t *testing.T, path string, right, wrong []byte) {
	t.Helper()
	file := must1(os.ReadFile(path))(t)
	if !bytes.Contains(file, right) {
		t.Fatalf("%s has no %q", path, right)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(file, right, wrong), 0o600); err != nil {
		t.Fatal(err)
	}
}

const metaPages = 2 * 4096

func TestFlippedBitsAreNoticed(t *testing.T) {
	dir := t.TempDir()
	file, want := damageable(t, dir)
	t.Run("listed", func(t *testing.T) { flipBits(t, dir, file, want) })
	t.Run("unlisted", func(t *testing.T) { flipBits(t, dir, withoutList(t, file), want) })
}

func flipBits(t *testing.T, dir string, file []byte, want map[string]string) {
	used := len(bytes.TrimRight(file, "\x00"))
	var sum [3]int
	flips, bits := 100, rand.New(rand.NewPCG(1, 1))
	if n, err := strconv.Atoi(os.Getenv("IRIS_FLIPS")); err == nil {
		flips, bits = n, rand.New(rand.NewPCG(rand.Uint64(), 1))
	}
	for range flips {
		// Not in the two meta pages: where the newer one cannot be read, bbolt goes on from the
		// transaction before.
		at, bit := metaPages+bits.IntN(used-metaPages), bits.IntN(8)
		damaged := slices.Clone(file)
		damaged[at] ^= 1 << bit
		a, b, c := judge(t, dir, damaged, want, fmt.Sprintf("bit %d of byte %d (page %d, offset %d)", bit, at, at/4096, at%4096))
		sum[0], sum[1], sum[2] = sum[0]+a, sum[1]+b, sum[2]+c
	}
	if sum[1] == 0 {
		t.Fatalf("got %v", sum)
	}
	t.Logf("%d bits flipped: %d refused at open, %d reported, %d without effect, 0 silently wrong", flips, sum[0], sum[1], sum[2])
}

func TestATruncatedJournalIsNoticed(t *testing.T) {
	dir := t.TempDir()
	file, want := damageable(t, dir)
	t.Run("listed", func(t *testing.T) { truncateFile(t, dir, file, want) })
	t.Run("unlisted", func(t *testing.T) { truncateFile(t, dir, withoutList(t, file), want) })
}

func truncateFile(t *testing.T, dir string, file []byte, want map[string]string) {
	used := len(bytes.TrimRight(file, "\x00"))
	for n := 1; n < used; n += 1 + rand.N(4000) {
		if refused, _, _ := judge(t, dir, file[:n], want, fmt.Sprintf("cut to %d of %d bytes", n, used)); refused == 0 {
			t.Errorf("opened, cut to %d of %d bytes", n, used)
		}
	}
	zeroed := slices.Clone(file)
	clear(zeroed[8192:12288])
	judge(t, dir, zeroed, want, "page 2 zeroed")
}

func TestTruncatedJournalSaysHowMuchIsMissing(t *testing.T) {
	j, path := tempJournal(t)
	mustAccept(t, j, message(1))
	size := must1(j.Size())(t).File
	j.Close()
	if err := os.Truncate(path, size-10); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("10 of its %d bytes are missing", size)) {
		t.Errorf("got %v", err)
	}
}

func TestADamagedFileIsThatOfOneMessage(t *testing.T) {
	j, _ := tempJournal(t)
	var names []string
	for i := range 4 {
		n := message(i)
		n.Body = bytes.Repeat([]byte("b"), inFile+1)
		names = append(names, filepath.Join(j.dir, mustAccept(t, j, n).Body.File))
	}
	b := must1(os.ReadFile(names[1]))(t)
	b[100] ^= 1
	os.WriteFile(names[1], b, 0o600)
	os.Truncate(names[2], 5)
	os.Remove(names[3])
	for i := range 4 {
		_, err := j.Body(messageID(i))
		d, damaged := errors.AsType[*DamageError](err)
		if damaged != (i > 0) || damaged && (d.ID != messageID(i) || d.Path != names[i]) {
			t.Errorf("message %d: got %v", i, err)
		}
	}
	if got := ids(t, j.Queued()); len(got) != 4 {
		t.Fatalf("queued: %v", got)
	}
	if err := j.Check(); err == nil || strings.Count(err.Error(), "is damaged") != 3 {
		t.Fatalf("check: got %v", err)
	}
	must1(j.End(messageID(3), End{State: Failed, At: at(1), Note: "its body is lost"}))(t)
}

func TestAValueInAWrongPlaceIsNoticed(t *testing.T) {
	j, _ := tempJournal(t)
	mustAccept(t, j, message(1))
	if err := j.SetSession("p1", Session{ID: "x"}); err != nil {
		t.Fatal(err)
	}
	err := j.db.Update(func(tx *bolt.Tx) error {
		m := tx.Bucket(bucketMessages)
		v := slices.Clone(m.Get([]byte(messageID(1))))
		s := slices.Clone(tx.Bucket(bucketSessions).Get([]byte("p1")))
		return errors.Join(m.Put([]byte(messageID(2)), v), tx.Bucket(bucketResults).Put([]byte(messageID(1)), s))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Message(messageID(2)); !isDamage(err) {
		t.Errorf("under another key: got %v", err)
	}
	if err := j.Check(); err == nil || !strings.Contains(err.Error(), "results") {
		t.Errorf("in another bucket: got %v", err)
	}
}

// A journal that lacks a part is neither opened nor taken for a new one.
func TestJournalWithoutAPartIsRefused(t *testing.T) {
	meta := func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket(bucketMeta) }
	for want, change := range map[string]func(*bolt.Tx) error{
		"counts: its record is missing": func(tx *bolt.Tx) error { return meta(tx).Delete(keyCounts) },
		"keys is missing":               func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketKeys) },
		"it has no version":             func(tx *bolt.Tx) error { return meta(tx).Delete(keyVersion) },
		"no version":                    func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketMeta) },
		"has no version":                func(tx *bolt.Tx) error { return meta(tx).Put(keyVersion, make([]byte, 8)) },
	} {
		j, path := tempJournal(t)
		mustAccept(t, j, message(1))
		if err := j.db.Update(change); err != nil {
			t.Fatal(err)
		}
		j.Close()
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestRecordThatIsCutIsDamage(t *testing.T) {
	m := Message{ID: "m", Team: "api", Session: "s", State: Queued, History: []Change{{State: Queued, At: at(1)}}}
	b := must1(encodeMessage(&m))(t)
	h := must1(decodeHead(b))(t)
	for n := range len(b) - len(h.rest) {
		if h, err := decodeHead(b[:n]); err == nil {
			t.Errorf("%d bytes: got %+v", n, h)
		}
	}
	if got, err := decodeMessage("m", b[:len(b)-len(h.rest)]); err == nil {
		t.Errorf("without a history: got %+v", got)
	}
}
