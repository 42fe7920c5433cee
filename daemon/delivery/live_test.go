package delivery

import (
	"errors"
	"sync"
	"testing"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
)

// A key is one sender's at a time, and leaves nothing when nobody has it.
func TestKeyIsOfOneSenderAtATime(t *testing.T) {
	var k keyLocks
	k.lock("")() // of messages without a key none waits for another
	other := k.lock("")
	var wg sync.WaitGroup
	has := 0
	for range 8 {
		wg.Go(func() {
			for range 200 {
				unlock := k.lock("k")
				has++
				unlock()
			}
		})
	}
	wg.Wait()
	other()
	if has != 8*200 || len(k.held) != 0 {
		t.Errorf("%d of 1600 times, %d keys left", has, len(k.held))
	}
	first := k.lock("k")
	got := make(chan bool)
	wg.Go(func() {
		defer k.lock("k")()
		got <- true
	})
	select {
	case <-got:
		t.Error("two have it")
	default:
	}
	first()
	<-got
	wg.Wait()
}

func TestSpoolIsNeededAsLongAsAMessageIs(t *testing.T) {
	var l live
	for _, n := range []int{1, 1, -1} {
		if l.addSpoolNeed("p", n); !l.needsSpool("p") {
			t.Error("not needed")
		}
	}
	l.addSpoolNeed("p", -1)
	l.addSpoolNeed("", 1)
	if l.needsSpool("p") || len(l.spools) != 0 {
		t.Errorf("left: %v", l.spools)
	}
}

// A call for a message that is being accepted waits until it is.
func TestMessageThatIsBeingAcceptedIsFound(t *testing.T) {
	d := newDispatcher(t, "")
	m := d.newDelivery(journal.New{ID: "m1", Team: "api"})
	accepted := d.inflight.ids.accepting.lock("m1")
	var wg sync.WaitGroup
	var found *delivery
	wg.Go(func() { found = d.findLive("m1") })
	for waiting := 0; waiting < 2; {
		d.inflight.ids.accepting.mu.Lock()
		waiting = d.inflight.ids.accepting.held["m1"].users
		d.inflight.ids.accepting.mu.Unlock()
	}
	d.inflight.live.add(m)
	accepted()
	wg.Wait()
	if found != m || d.findLive("m2") != nil {
		t.Errorf("got %v", found)
	}
	if !d.IsLive("m1") || d.IsLive("m2") {
		t.Error("the one is not live, or the other is")
	}
	if d.keyOf("m1") != m.key() || d.keyOf("m2") != (pool.Key{}) {
		t.Errorf("conversations: %v, %v", d.keyOf("m1"), d.keyOf("m2"))
	}
}

// Who waits for a message that runs is told what that waits for.
func TestSenderIsToldWhatATurnWaitsFor(t *testing.T) {
	d := newDispatcher(t, "")
	m := d.newDelivery(journal.New{ID: "m1", Team: "api"})
	var told []ipc.MessageState
	m.notify = func(st ipc.MessageState) { told = append(told, st) }
	d.inflight.live.add(m)
	d.TurnWaits("none", "p", "disk")
	d.TurnWaits("m1", "p", "disk")
	if want := (ipc.MessageState{ID: "m1", State: "running", Process: "p", WaitsFor: "disk"}); len(told) != 1 || told[0] != want {
		t.Errorf("told %+v", told)
	}
}

// A message that is on record outlives a journal that stops before its turn; any other error
// is its end.
func TestMessageOutlivesAStoppedJournal(t *testing.T) {
	stopped, other := &journal.StoppedError{Err: errors.New("disk")}, errors.New("other")
	for _, c := range []struct {
		accepted bool
		err      error
		outlives bool
	}{{true, stopped, true}, {true, journal.ErrClosed, true}, {true, other, false}, {false, stopped, false}} {
		m := &delivery{accepted: c.accepted}
		if err := m.notBegun(c.err); errors.Is(err, pool.ErrClosed) != c.outlives || !errors.Is(err, c.err) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
}
