package delivery

import (
	"slices"
	"sync"
	"testing"
	"time"

	"iris/ipc"
)

func TestIDsSortByTimeAndNeverRepeat(t *testing.T) {
	var g ids
	base := time.UnixMilli(1_790_000_000_000)
	var got []string
	for i := range 5000 {
		got = append(got, g.next(base.Add(time.Duration(i/100)*time.Millisecond)))
	}
	if !slices.IsSorted(got) {
		t.Error("ids are not in the order in which they were made")
	}
	if n := len(slices.Compact(slices.Clone(got))); n != len(got) {
		t.Errorf("%d of %d ids are distinct", n, len(got))
	}
	for _, id := range got {
		if len(id) != 16 {
			t.Fatalf("id %q has %d characters, want 16", id, len(id))
		}
	}
}

func TestIDsSurviveAClockThatGoesBack(t *testing.T) {
	var g ids
	now := time.UnixMilli(1_790_000_000_000)
	first := g.next(now)
	if second := g.next(now.Add(-time.Hour)); second <= first {
		t.Errorf("got %s after %s", second, first)
	}
}

// If the clock is set back between two daemons, the ids of the second still sort after
// those of the first.
func TestIDsComeAfterThoseOfAnEarlierDaemon(t *testing.T) {
	var first, second ids
	now := time.UnixMilli(1_790_000_000_000)
	last := ""
	for range 3 {
		last = first.next(now)
	}
	second.after(last)
	for range 3 {
		id := second.next(now.Add(-365 * 24 * time.Hour))
		if id <= last {
			t.Errorf("got %s after %s", id, last)
		}
		last = id
	}
	if id := second.next(now.Add(time.Hour)); id <= last {
		t.Errorf("got %s after %s", id, last)
	}
	for _, strange := range []string{"", "x", "ZZZZZZZZZZZZZZZZ", "01m8a1whgp2t9pz\x00"} {
		var g ids
		g.after(strange)
		if id := g.next(now); len(id) != 16 {
			t.Errorf("after %q: %q", strange, id)
		}
	}
}

func TestIDsOfManyGoroutinesAreDistinct(t *testing.T) {
	var g ids
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[string]bool{}
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				id := g.next(time.Now())
				mu.Lock()
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != 8000 {
		t.Errorf("got %d distinct ids of 8000", len(seen))
	}
}

// A sender's id is admitted only if it sorts after all ids on record. After a clock that was
// far ahead it does not.
func TestIDsOfSendersSortByTime(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	var g ids
	own := ipc.NewID(now)
	if !g.admit(own, now.Add(time.Second)) {
		t.Fatal("not admitted")
	}
	if next := g.next(now.Add(-time.Second)); next <= own {
		t.Errorf("got %s after %s", next, own)
	}
	g.after(ipc.NewID(now.Add(24 * time.Hour)))
	if g.admit(ipc.NewID(now), now) {
		t.Error("admitted before an id on record")
	}
}

// Of two ids of one millisecond, the second is not lower because the first has a high end.
func TestIDsComeAfterAnAdmittedOneOfTheirMillisecond(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	var g ids
	g.next(now)
	own := ipc.FormatID(uint64(now.UnixMilli()), 1<<30-1)
	if !g.admit(own, now) {
		t.Fatal("not admitted")
	}
	if next := g.next(now); next <= own {
		t.Errorf("got %s after %s", next, own)
	}
}

// The clocks of senders differ, by no more than the limits.
func TestIDsOfSendersAreOfAboutNow(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	for off, want := range map[time.Duration]bool{
		-oldID: true, -oldID - time.Millisecond: false, newID: true, newID + time.Millisecond: false,
	} {
		var g ids
		for tail := range uint32(2) { // of two senders
			if got := g.admit(ipc.FormatID(uint64(now.Add(off).UnixMilli()), tail), now); got != want {
				t.Errorf("%v, sender %d: got %v", off, tail, got)
			}
		}
	}
}
