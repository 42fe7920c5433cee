package delivery

import (
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/pool"
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
