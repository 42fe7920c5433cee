package delivery

import (
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/pool"
	"iris/pool/turn"
)

// What an account has used is recorded when it has changed by a percent, and the next
// daemon knows it.
func TestUseOfAnAccountIsRecorded(t *testing.T) {
	d := newDispatcher(t, limitTeams(t, "api"))
	d.o.Pool.SetAccount("api", "shared")
	resets := time.Now().Add(time.Hour).Truncate(time.Second)
	for _, c := range []struct{ used, recorded float64 }{{0.5, 0.5}, {0.504, 0.5}, {0.51, 0.51}, {0.79, 0.79}, {0.8, 0.8}} {
		d.heedTurn("api", &turn.Result{Windows: []turn.Window{{Name: "five-hour limit", Utilization: c.used, Resets: resets}}})
		got, err := d.o.Store.Used()
		if err != nil || len(got) != 1 || got[0].Utilization != c.recorded || got[0].Account != "shared" || !got[0].Resets.Equal(resets) {
			t.Errorf("after %g the journal has %+v, %v", c.used, got, err)
		}
	}
	d.o.Pool.SetUtilization("shared", []turn.Window{{Name: "five-hour limit"}})
	if err := d.restoreUsed(); err != nil {
		t.Fatal(err)
	}
	if got := d.used("shared"); len(got) != 1 || got[0].Utilization != 0.8 || !got[0].Resets.Equal(resets) {
		t.Errorf("the pool has %+v", got)
	}
}

// A message is spare if it says so, or if it does not say and its team is.
func TestSpareOfAMessageAndOfItsTeam(t *testing.T) {
	d := newDispatcher(t, limitTeams(t, "usual", "spare")+"spare = true\n")
	yes, no := true, false
	for _, c := range []struct {
		team string
		set  *bool
		want bool
	}{{"usual", nil, false}, {"usual", &yes, true}, {"spare", nil, true}, {"spare", &no, false}, {"/nowhere", nil, false}} {
		m := d.newDelivery(journal.New{ID: "m1", Team: c.team, Options: journal.Options{Spare: c.set}})
		if got := m.turn(pool.Turn{}).Spare; got != c.want {
			t.Errorf("%+v: spare is %v", c, got)
		}
	}
}

// The first spare message waits for the messages of its account also if their team has had
// no agent yet.
func TestFirstSpareMessageKnowsTheAccounts(t *testing.T) {
	d := newDispatcher(t, limitTeams(t, "api", "web"))
	d.inflight.live.add(d.newDelivery(journal.New{ID: "m1", Team: "api"}))
	d.knowAccounts(pool.Turn{Key: pool.Key{Team: "web"}})
	if _, known := d.o.Pool.Account("api"); known {
		t.Error("the account was looked up for nothing")
	}
	d.knowAccounts(pool.Turn{Key: pool.Key{Team: "web"}, Spare: true})
	for _, team := range []string{"api", "web"} {
		if got, _ := d.o.Pool.Account(team); got != "shared" {
			t.Errorf("%s has the account %q", team, got)
		}
	}
}
