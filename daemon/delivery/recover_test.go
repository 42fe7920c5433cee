package delivery

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
)

// Each message that was running when the daemon ended is settled, whatever the others are, and
// has an event of its end.
func TestEveryRunningMessageIsSettled(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	ids := []string{"m1", "m2", "m3"}
	for _, id := range ids {
		n := journal.New{ID: id, Team: "api", Session: id, Body: []byte("x"), At: time.Now()}
		a := journal.Attempt{Process: "gone-" + id, Boot: "b", At: time.Now()}
		if _, err := d.o.Store.AcceptAndDispatch(n, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Recover(nil, nil); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if m, err := d.o.Store.Message(id); err != nil || m.State != journal.Unknown {
			t.Errorf("%s is %s (%v), want unknown: the output of its agent is gone", id, m.State, err)
		}
	}
	events, _, _ := d.o.Pool.Events(0)
	for i, e := range events {
		if e.Type != pool.MessageEnded || e.Message != ids[i] || e.Detail != "unknown" || e.Key != (pool.Key{Team: "api", Session: ids[i]}) {
			t.Errorf("event %+v", e)
		}
	}
	if len(events) != len(ids) {
		t.Errorf("%d events", len(events))
	}
}

// If the end of a turn cannot be recorded, the output of the agent stays for the next daemon:
// nothing else says how the turn ended.
func TestOutputStaysWhenItsEndIsNotOnRecord(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	m := d.newDelivery(journal.New{ID: "m1", Team: api.Team, Session: api.Session, Body: []byte("slow:20:10ms"), At: time.Now()})
	begun := make(chan string, 1)
	m.notify = func(st ipc.MessageState) { begun <- st.Process }
	if _, err := m.submit(pool.Turn{}); err != nil {
		t.Fatal(err)
	}
	process := <-begun
	d.o.Store.Close()
	<-m.done
	if m.end.state != "" || m.end.err == nil {
		t.Fatalf("it ended as %q, %v, without a journal", m.end.state, m.end.err)
	}
	if !d.NeedsSpool(process) {
		t.Error("its output would be removed")
	}
	d.o.Pool.Close()
	a := journal.Attempt{Process: process, Offset: m.offset, UUID: m.uuid}
	if ev, over, err := d.o.Agents.ReadSpool(&a); !over || ev.Result.Text == "" {
		t.Errorf("the next daemon finds %+v, %v", ev, err)
	}
}

// A message that no agent has taken when the daemon stops goes back into the queue: the next
// daemon need not guess.
func TestMessageThatNoAgentHasTakenIsPutBack(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	m := d.newDelivery(journal.New{ID: "m1", Team: api.Team, Session: api.Session, Body: []byte("echo:x"), At: time.Now()})
	var wg sync.WaitGroup
	defer wg.Wait()
	m.notify = func(ipc.MessageState) { // its dispatch is on record, and nothing is written yet
		wg.Go(d.o.Pool.Close)
		for d.o.Pool.Snapshot().Processes[0].State != pool.Stopping {
			time.Sleep(time.Millisecond)
		}
	}
	if _, err := m.submit(pool.Turn{}); err != nil {
		t.Fatal(err)
	}
	<-m.done
	now, err := d.o.Store.Message(m.new.ID)
	if err != nil || now.State != journal.Queued || len(now.Attempts) != 1 {
		t.Errorf("got %+v, %v", now, err)
	}
	if d.NeedsSpool(now.Last().Process) {
		t.Error("the output of that agent is kept for it")
	}
	if m.end.err == nil || m.end.err.Error() != fault.Stopping(api, "m1").Error() {
		t.Errorf("its sender is told: %v", m.end.err)
	}
}

// warmed returns the id of an agent that has had a turn.
func warmed(t *testing.T, d *Dispatcher) string {
	t.Helper()
	m := d.newDelivery(journal.New{ID: "m0", Team: api.Team, Session: api.Session, Body: []byte("echo:x"), At: time.Now()})
	if _, err := m.submit(pool.Turn{}); err != nil {
		t.Fatal(err)
	}
	<-m.done
	return d.o.Pool.Snapshot().Processes[0].ID
}

// A message whose turn never began is queued again. It is not while that is not on record: its
// agent would get it twice.
func TestTurnThatNeverBeganIsQueuedOnRecord(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	d.o.Boot = "b"
	a := journal.Attempt{Process: warmed(t, d), Boot: "b", Offset: 1 << 30, UUID: "u", At: time.Now()}
	var all []*delivery
	for _, id := range []string{"m1", "m2"} {
		if _, err := d.o.Store.AcceptAndDispatch(journal.New{ID: id, Team: api.Team, Body: []byte("x"), At: time.Now()}, a); err != nil {
			t.Fatal(err)
		}
		msg, err := d.o.Store.Message(id)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d.restored(&msg))
	}
	if err := all[0].settle(a); err != nil {
		t.Fatal(err)
	}
	if now, err := d.o.Store.Message("m1"); err != nil || now.State != journal.Queued {
		t.Errorf("got %+v, %v", now, err)
	}
	d.o.Store.Close()
	if err := all[1].settle(a); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("without a journal: %v", err)
	}
}

// What the next answer of a conversation was to tell, the answer of the next attempt tells.
func TestNoticeIsKeptForTheNextAttempt(t *testing.T) {
	d := newDispatcher(t, "")
	m := d.newDelivery(journal.New{ID: "m1", Team: api.Team, Session: api.Session})
	m.end.notice = "a new conversation was begun"
	m.requeued(&journal.Message{})
	if got := d.o.Conversations.TakeNotice(api); got != "a new conversation was begun" {
		t.Errorf("got %q", got)
	}
}

// Each message that an earlier iris left to be sent again is queued, and is sent again once.
func TestUnknownMessagesAreQueuedAgain(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	for _, id := range []string{"m1", "m2"} {
		record(t, d, journal.New{ID: id, Team: "api", Session: id, Options: journal.Options{OnUnknown: "retry"}}, journal.End{State: journal.Unknown})
	}
	for range 2 { // the second time both have been tried again
		if err := d.recoverUnknown(); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"m1", "m2"} {
			m, err := d.o.Store.Message(id)
			if err != nil || !m.Retried() || len(m.History) > 6 {
				t.Errorf("%s: got %+v, %v", id, m.History, err)
			}
			if m.State == journal.Queued {
				if err = d.o.Store.Dispatch(id, journal.Attempt{Process: "q", At: time.Now()}); err == nil {
					_, err = d.o.Store.End(id, journal.End{State: journal.Unknown, At: time.Now()})
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The output of a message is kept for its client if that can still come back for it.
func TestOutputOfRecentTurnsIsKept(t *testing.T) {
	d := newDispatcher(t, "")
	record(t, d, journal.New{ID: "m1", Team: "api"}, journal.End{State: journal.Done})
	record(t, d, journal.New{ID: "m2", Team: "api"}, journal.End{})
	for id, end := range map[string]time.Time{"m3": time.Now(), "m4": time.Now().Add(-2 * reconnectWithin)} {
		n := journal.New{ID: id, Team: "api", Body: []byte("x"), At: end}
		_, err := d.o.Store.Accept(n)
		if id == "m4" && err == nil {
			err = d.o.Store.Dispatch(id, journal.Attempt{Process: "p", At: end})
		}
		if err == nil {
			_, err = d.o.Store.End(id, journal.End{State: journal.Cancelled, At: end})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := d.recentlyEnded()
	if err != nil || len(got) != 1 || got[0].ID != "m1" {
		t.Errorf("got %+v, %v, want m1 alone", got, err)
	}
}

// Of the messages of a process, the output of the last one may still be wanted.
func TestLastMessageOfAProcessIsKnown(t *testing.T) {
	d := newDispatcher(t, "")
	ended := func(id string, offset int64) journal.Message {
		return journal.Message{ID: id, History: []journal.Change{{At: time.Now()}}, Attempts: []journal.Attempt{{Process: "p", Offset: offset}}}
	}
	first, second := ended("m1", 5), ended("m2", 900)
	for _, all := range [][]journal.Message{{first, second}, {second, first}} {
		if last := d.lastEnded(all)["p"]; last == nil || last.new.ID != "m2" {
			t.Errorf("got %+v", last)
		}
	}
}

// The pool gives such a message to another agent without counting the try.
func TestTurnThatLackedRoomSaysSo(t *testing.T) {
	lack := fmt.Errorf("%w: no room for the answer: %w", pool.ErrNotDispatched, syscall.ENOSPC)
	if !endOf(nil, lack).NoRoom || endOf(nil, pool.ErrNotDispatched).NoRoom {
		t.Error("a lack of room and another fault are not told apart")
	}
}
