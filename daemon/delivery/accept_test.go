package delivery

import (
	"strings"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/turn"
)

func TestTurnWaitsForBackgroundWork(t *testing.T) {
	d := newDispatcher(t, "[teams.hasty]\ndir = \"/\"\nbackground_wait = false\n")
	for _, c := range []struct {
		team   string
		noWait bool
		want   bool
	}{{"api", false, false}, {"api", true, true}, {"hasty", false, true}} {
		n := journal.New{ID: "m-" + c.team, Team: c.team, Options: journal.Options{NoWait: c.noWait}}
		m := d.newDelivery(n)
		if m.turn(pool.Turn{}); m.noWait != c.want {
			t.Errorf("%+v: got %v", c, m.noWait)
		}
	}
	got, err := d.o.Store.Accept(journal.New{ID: "m", Team: "api", Body: []byte("x"), At: time.Now(), Options: journal.Options{NoWait: true}})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := d.o.Store.Message(got.ID)
	m := d.restored(&msg)
	if m.turn(pool.Turn{}); err != nil || !m.noWait {
		t.Errorf("after a restart it waits (%v)", err)
	}
}

// A message that has ended leaves no timer that would keep it in memory until its deadline.
func TestEndedMessageHasNoTimer(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	d.o.Pool.Hold(api, "the test")
	m := d.newDelivery(journal.New{
		ID: "m1", Team: api.Team, Session: api.Session, Body: []byte("x"), At: time.Now(),
		Options: journal.Options{Deadline: time.Now().Add(time.Hour)},
	})
	if _, err := m.submit(pool.Turn{}); err != nil {
		t.Fatal(err)
	}
	if err := d.o.Pool.Cancel(m.new.ID); err != nil {
		t.Fatal(err)
	}
	<-m.done
	if m.timer.Stop() {
		t.Error("its timer still runs")
	}
}

// The deadline of a message that was refused is not that of the message which has its id.
func TestRefusedMessageExpiresNoOther(t *testing.T) {
	d := newDispatcher(t, "")
	n := journal.New{ID: "m1", Team: "api", Body: []byte("x"), At: time.Now()}
	if _, err := d.o.Store.Accept(n); err != nil {
		t.Fatal(err)
	}
	m := d.newDelivery(n)
	if m.accept(); m.refused == nil {
		t.Fatal("accepted")
	}
	if m.expire() {
		t.Error("it has expired")
	}
	if got, err := d.o.Store.Message("m1"); err != nil || got.State != journal.Queued {
		t.Errorf("the other: got %s, %v", got.State, err)
	}
}

// A timer that fires too late to matter would keep the message in memory.
func TestNoTimerBeginsTooLate(t *testing.T) {
	d := newDispatcher(t, "")
	n := journal.New{ID: "m1", Team: "api", Options: journal.Options{Deadline: time.Now().Add(time.Hour)}}
	for what, change := range map[string]func(*delivery){
		"it has ended":    func(m *delivery) { m.over = true },
		"it runs":         func(m *delivery) { m.running = true },
		"it was refused":  func(m *delivery) { m.refused = journal.ErrGone },
		"has no deadline": func(m *delivery) { m.new.Options.Deadline = time.Time{} },
	} {
		m := d.newDelivery(n)
		if change(m); m.timer != nil {
			t.Fatal(what)
		}
		if m.startTimer(); m.timer != nil {
			m.timer.Stop()
			t.Errorf("a message has a timer, although %s", what)
		}
	}
}

// The pool would run a message that another one has accepted under its id meanwhile.
func TestMessageWithAnIDOnRecordIsRefused(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	n := journal.New{ID: "m0", Team: api.Team, Session: api.Session, Body: []byte("echo:x"), At: time.Now()}
	warm := d.newDelivery(n)
	if _, err := warm.submit(pool.Turn{}); err != nil {
		t.Fatal(err)
	}
	<-warm.done
	n.ID = "m1"
	if _, err := d.o.Store.Accept(n); err != nil {
		t.Fatal(err)
	}
	for _, held := range []bool{true, false} { // accepted while it waits, and as it begins
		if held {
			d.o.Pool.Hold(api, "the test")
		} else {
			d.o.Pool.Unhold(api)
		}
		m := d.newDelivery(n)
		if _, err := m.submit(pool.Turn{}); err == nil {
			t.Errorf("held %v: accepted", held)
		}
		<-m.done
	}
	if got, err := d.o.Store.Message(n.ID); err != nil || got.State != journal.Queued || len(got.Attempts) > 0 {
		t.Errorf("the first is %+v, %v", got, err)
	}
}

func TestTotalsAreOfTurnsWithAResult(t *testing.T) {
	d := newDispatcher(t, "")
	tidied := 0
	d.o.Tidy = func() { tidied++ }
	d.count(large, nil)
	d.count(0, &turn.Result{CostUSD: 0.25, Text: strings.Repeat("x", large)})
	d.count(0, &turn.Result{CostUSD: 0.0000014})
	if messages, costs := d.Totals(); messages != 2 || costs != 250001 || tidied != 0 {
		t.Errorf("got %d messages, %d, tidied %d times", messages, costs, tidied)
	}
	d.count(large+1, nil)
	d.count(0, &turn.Result{Text: strings.Repeat("x", large+1)})
	if tidied != 2 {
		t.Errorf("tidied %d times after two large texts", tidied)
	}
}

// Who sent a message that is recorded only when the daemon ends is told its id, once.
func TestMessageThatIsRecordedLateIsTold(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	var told []ipc.MessageState
	ids := []string{"m1", "m2"}
	for _, id := range ids {
		m := d.newDelivery(journal.New{ID: id, Team: "api", Body: []byte("x"), At: time.Now()})
		m.notify = func(st ipc.MessageState) { told = append(told, st) }
		d.inflight.live.add(m)
	}
	for range 2 {
		if err := d.PersistQueued(t.Context(), []string{"none", "m1", "m2"}); err != nil {
			t.Fatal(err)
		}
		if len(told) != 2 || told[0].ID != "m1" || told[0].State != "queued" || told[1].ID != "m2" {
			t.Errorf("told %+v", told)
		}
	}
	for _, id := range ids {
		if got, err := d.o.Store.Message(id); err != nil || got.State != journal.Queued {
			t.Errorf("got %+v, %v", got, err)
		}
		d.inflight.live.remove(d.inflight.live.get(id))
	}
}

// A conversation is held from the moment that its message has an unknown end.
func TestUnknownEndHoldsAtOnce(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	record(t, d, journal.New{ID: "m1", Team: api.Team, Session: api.Session, Options: journal.Options{OnUnknown: "hold"}}, journal.End{})
	msg, err := d.o.Store.Message("m1")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.restored(&msg).record(journal.End{State: journal.Unknown, At: time.Now()}); again || err != nil {
		t.Errorf("again %v, %v", again, err)
	}
	if !isHeld(t, d, api, "n1") {
		t.Error("not held")
	}
}

// The pool keeps an agent that still works in the background.
func TestPoolIsToldOfBackgroundWork(t *testing.T) {
	if endOf(&turn.Result{}, nil).Running || !endOf(&turn.Result{Background: []string{"b"}}, nil).Running {
		t.Error("wrong")
	}
}

// Whether an id sorts by time matters for a new message whose sender has made it.
func TestIDIsJudgedOfANewMessage(t *testing.T) {
	d := newDispatcher(t, "")
	now := time.Now()
	n := journal.New{ID: ipc.FormatID(uint64(now.Add(-2*oldID).UnixMilli()), 1), Team: "api", Body: []byte("x"), At: now}
	if found, err := d.find(n, acceptOptions{}); err != nil || found.Existing {
		t.Errorf("an id of iris: %+v, %v", found, err)
	}
	if _, err := d.find(n, acceptOptions{ownID: true}); err == nil {
		t.Error("an old id of the sender is taken")
	}
	n.Options.Key = "k"
	if _, err := d.o.Store.Accept(n); err != nil {
		t.Fatal(err)
	}
	if found, err := d.find(n, acceptOptions{ownID: true}); err != nil || !found.Existing {
		t.Errorf("the same message again: %+v, %v", found, err)
	}
}
