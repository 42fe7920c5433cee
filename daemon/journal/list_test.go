package journal

import (
	"bytes"
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
	p := must1(j.Prune(at(350), time.Time{}))(t)
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
	p = must1(j.Prune(time.Time{}, at(350)))(t)
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
	if p := must1(j.Prune(at(350), at(350)))(t); p.Messages != 1 {
		t.Fatalf("got %+v, want one message", p)
	}
	must1(j.Resolve(messageID(0), End{State: Failed, At: at(3), By: "a person"}))(t)
	if p := must1(j.Prune(at(350), at(350)))(t); p.Messages != 1 {
		t.Fatalf("after it was resolved: got %+v, want one message", p)
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
