package journal

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPruneKeepsTheUnfinishedAndTheKeys(t *testing.T) {
	j, path := tempJournal(t)
	states := []State{Done, Queued, Running, Unknown, Failed, Cancelled, Expired}
	for i := range 700 {
		n, s := message(i), states[i%len(states)]
		n.Options.Key = n.ID
		if i == 0 {
			n.Body = bytes.Repeat([]byte("b"), inFile+1)
		}
		mustAccept(t, j, n)
		if s == Running || s == Done || s == Unknown {
			must1(j.Dispatch(n.ID, attempt(i)))(t)
		}
		if s.Ended() {
			must1(j.End(n.ID, End{State: s, At: at(i)}))(t)
		}
	}
	p := must1(j.Prune(context.Background(), at(350), time.Time{}))(t)
	if p.Messages != 250 || p.Keys != 0 {
		t.Fatalf("got %+v, want 250 messages", p)
	}
	if files := must1(os.ReadDir(j.dir))(t); len(files) != 0 {
		t.Fatalf("files left: %v", files)
	}
	j.Close()
	j = mustOpen(t, path)
	s := must1(j.Size())(t)
	if s.Messages != 450 || s.Queued != 100 || s.Running != 100 || s.Unknown != 50 || s.Bodies != 0 {
		t.Fatalf("got %+v", s)
	}
	n := message(4)
	n.Options.Key = n.ID
	n.ID = messageID(1000)
	if a := mustAccept(t, j, n); !a.Existing || !a.Pruned || a.ID != messageID(4) || a.State != Failed {
		t.Fatalf("key of a pruned message: got %+v", a)
	}
	p = must1(j.Prune(context.Background(), time.Time{}, at(350)))(t)
	if p.Messages != 0 || p.Keys != 250 {
		t.Fatalf("got %+v, want 250 keys", p)
	}
	if a := mustAccept(t, j, n); a.Existing {
		t.Fatalf("key kept too long: %+v", a)
	}
	if err := j.Check(); err != nil {
		t.Fatal(err)
	}
}

// TestPruneKeepsWhatHolds: somebody has still to say how that message ended.
func TestPruneKeepsWhatHolds(t *testing.T) {
	j, _ := tempJournal(t)
	for i, on := range []string{"hold", "continue"} {
		n := message(i)
		n.Options.OnUnknown = on
		mustAccept(t, j, n)
		must1(j.Dispatch(n.ID, attempt(i)))(t)
		must1(j.End(n.ID, End{State: Unknown, At: at(i)}))(t)
	}
	if p := must1(j.Prune(context.Background(), at(350), at(350)))(t); p.Messages != 1 {
		t.Fatalf("got %+v, want one message", p)
	}
	must1(j.Resolve(messageID(0), End{State: Failed, At: at(3), By: "a person"}))(t)
	if p := must1(j.Prune(context.Background(), at(350), at(350)))(t); p.Messages != 1 {
		t.Fatalf("after it was resolved: got %+v, want one message", p)
	}
}

// A key that was pruned before its message may be used again, and is not that message's then.
func TestPruneLeavesTheKeyOfALaterMessage(t *testing.T) {
	j, _ := tempJournal(t)
	for i := range 2 {
		n := message(i)
		n.Options.Key = "k"
		if a := mustAccept(t, j, n); a.Existing {
			t.Fatalf("got %+v", a)
		}
		if i == 0 {
			must1(j.End(n.ID, End{State: Cancelled, At: at(9)}))(t)
			must1(j.Prune(context.Background(), at(0), at(5)))(t)
		}
	}
	if p := must1(j.Prune(context.Background(), at(20), at(0)))(t); p.Messages != 1 {
		t.Errorf("got %+v", p)
	}
	again := message(1)
	again.Options.Key = "k"
	if a := mustAccept(t, j, again); a.ID != messageID(1) || a.Pruned || a.State != Queued {
		t.Errorf("the later message: got %+v", a)
	}
}

func TestListsFilterAndPage(t *testing.T) {
	j, _ := tempJournal(t)
	for i := range 100 {
		n := message(i)
		n.Team = []string{"api", "web"}[i%2]
		n.Session = []string{"", "", "s"}[i%3]
		mustAccept(t, j, n)
		if i%5 == 0 {
			must1(j.End(n.ID, End{State: Cancelled, At: at(i)}))(t)
		}
	}
	none := ""
	count := func(f Filter) int { return len(ids(t, j.List(f))) }
	for _, c := range []struct {
		f    Filter
		want int
	}{
		{Filter{}, 100},
		{Filter{Limit: 7}, 7},
		{Filter{Team: "web"}, 50},
		{Filter{Session: &none}, 67},
		{Filter{States: []State{Cancelled}}, 20},
		{Filter{States: []State{Cancelled, Queued}, Team: "api"}, 50},
		{Filter{States: []State{Running}}, 0},
		{Filter{After: messageID(89)}, 10},
		{Filter{Since: at(95)}, 5},
		{Filter{Before: messageID(10), Limit: 50}, 10},
		{Filter{Before: "z"}, 100},
	} {
		if got := count(c.f); got != c.want {
			t.Errorf("%+v: got %d, want %d", c.f, got, c.want)
		}
	}
	var all []string
	for f := (Filter{Limit: 30}); ; {
		page := ids(t, j.List(f))
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
		f.Before = page[len(page)-1]
	}
	want := ids(t, j.List(Filter{}))
	if !slices.Equal(all, want) || !slices.IsSortedFunc(all, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Fatalf("pages: got %v, want %v", all, want)
	}
}

func TestBeginning(t *testing.T) {
	j, _ := tempJournal(t)
	if got := must1(j.Beginning("0", 5))(t); got != nil {
		t.Errorf("of none: %v", got)
	}
	ids := []string{messageID(1), messageID(2), messageID(30)}
	for i, n := range []int{1, 2, 30} {
		m := message(n)
		if m.ID != ids[i] {
			t.Fatal(m.ID)
		}
		mustAccept(t, j, m)
	}
	slices.Reverse(ids)
	common := ids[0][:len(ids[0])-3]
	for prefix, want := range map[string][]string{ids[0]: ids[:1], ids[2]: ids[2:], common: ids, ids[0] + "0": nil, "z": nil} {
		if got := must1(j.Beginning(prefix, 5))(t); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", prefix, got, want)
		}
	}
	if got := must1(j.Beginning(common, 2))(t); !slices.Equal(got, ids[:2]) {
		t.Errorf("two of them: %v", got)
	}
}

// More than one transaction reads a long list: a writer may wait for each.
func TestListsAreReadInParts(t *testing.T) {
	j, _ := tempJournal(t)
	err := j.update(func(tx *txn) error {
		for n := range chunk + 5 {
			m := message(n)
			if _, _, err := record(tx, &m, describe(m.Body), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f     Filter
		found int
		more  bool
	}{{Filter{}, chunk, true}, {Filter{Team: "none"}, 0, true}, {Filter{Limit: 3}, 3, true}, {Filter{Before: messageID(5)}, 5, false}} {
		found, _, more, err := j.scan(c.f, c.f.Before)
		if len(found) != c.found || more != c.more || err != nil {
			t.Errorf("%+v: %d found, more %v, %v", c.f, len(found), more, err)
		}
	}
	if n := len(ids(t, j.List(Filter{}))); n != chunk+5 {
		t.Errorf("%d are listed", n)
	}
	if n := len(ids(t, j.Queued())); n != chunk+5 {
		t.Errorf("%d are queued", n)
	}
	if found, last, more, err := j.old(at(0), nil); len(found) != 0 || string(last) != messageID(chunk-1) || !more || err != nil {
		t.Errorf("to be pruned: %d up to %s, more %v, %v", len(found), last, more, err)
	}
}
