package delivery

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool/turn"
)

// limitFile makes a file that has the fake agents report a limit until the reset.
func limitFile(t *testing.T, reset time.Time) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "limit")
	if err := os.WriteFile(path, fmt.Append(nil, reset.Unix()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// limitTeams returns the configuration of teams that share an account.
func limitTeams(t *testing.T, names ...string) string {
	t.Helper()
	text := ""
	for i, name := range names {
		team := fakeTeam(t, name)
		if i > 0 {
			_, team, _ = strings.Cut(team, "\n")
		}
		text += team + "account = \"shared\"\n"
	}
	return text
}

// A message whose turn hits a limit before anything is done in it, and the messages of
// other teams of the account, wait for the reset; then each runs once more, or once. A
// sender is told until when.
func TestMessagesWaitForTheResetOfTheirAccount(t *testing.T) {
	d := newDispatcher(t, limitTeams(t, "api", "web"))
	reset := time.Now().Add(3 * time.Second).Truncate(time.Second)
	text := "limit:" + limitFile(t, reset) + ":done"
	first := &client{t: t}
	told := make(chan ipc.MessageState, 100)
	first.onState = func(st ipc.MessageState) { told <- st }
	var wg sync.WaitGroup
	defer wg.Wait()
	var replies [2]ipc.Reply
	wg.Go(func() {
		if err := first.call(d.Send, ipc.Send{Team: "api", Text: text}, &replies[0]); err != nil {
			t.Error(err)
		}
	})
	var waits ipc.MessageState
	for waits = range told {
		if waits.WaitsFor != "" {
			break
		}
	}
	if want := "account shared, limited until "; !strings.HasPrefix(waits.WaitsFor, want) || !strings.HasSuffix(waits.WaitsFor, " (five-hour limit)") ||
		waits.Resets == nil || !waits.Resets.Equal(reset) {
		t.Errorf("the sender is told %+v", waits)
	}
	if gates, err := d.o.Store.Gates(); err != nil || len(gates) != 1 || !gates[0].Until.Equal(reset) || gates[0].Account != "shared" {
		t.Errorf("the journal has the gates %+v, %v", gates, err)
	}
	second := &client{t: t}
	if err := second.call(d.Send, ipc.Send{Team: "web", Text: "echo:web"}, &replies[1]); err != nil || replies[1].Text != "web" {
		t.Errorf("got %+v, %v", replies[1], err)
	}
	if time.Now().Before(reset) {
		t.Error("a turn began before the reset")
	}
	wg.Wait()
	if replies[0].Text != "done" {
		t.Errorf("the first message got %+v", replies[0])
	}
	m, err := d.o.Store.Message(replies[0].ID)
	if err != nil || len(m.Attempts) != 2 || m.State != journal.Done {
		t.Errorf("its record is %+v, %v", m, err)
	}
	if gates, err := d.o.Store.Gates(); err != nil || len(gates) > 0 {
		t.Errorf("the journal has the gates %+v, %v", gates, err)
	}
}

// With on_limit fail, a message ends at once with the reset, whether its own turn has hit
// the limit, it waits in a queue, or it comes later.
func TestOnLimitFailEndsAtOnce(t *testing.T) {
	d := newDispatcher(t, limitTeams(t, "api", "web")+"args = [\"--fake-latency=1s\"]\n[teams.api.env]\nFAKECLAUDE_ARGS = \"--fake-latency=1s\"\n")
	reset := time.Now().Add(time.Hour).Truncate(time.Second)
	file := limitFile(t, reset)
	check := func(what string, r ipc.Reply, err error) {
		t.Helper()
		if err != nil || r.Outcome != "rate-limited" || r.Resets == nil || !r.Resets.Equal(reset) {
			t.Errorf("%s: got %+v, %v", what, r, err)
		}
	}
	var wg sync.WaitGroup
	queued := make(chan bool, 10)
	wg.Go(func() {
		var r ipc.Reply
		err := (&client{t: t}).call(d.Send, ipc.Send{Team: "api", Text: "limit:" + file + ":x", OnLimit: "fail"}, &r)
		check("its own turn", r, err)
	})
	for ; len(d.o.Pool.Snapshot().Processes) == 0; time.Sleep(10 * time.Millisecond) {
	}
	wg.Go(func() {
		var r ipc.Reply
		c := &client{t: t, onState: func(ipc.MessageState) { queued <- true }}
		err := c.call(d.Send, ipc.Send{Team: "api", Text: "echo:x", OnLimit: "fail"}, &r)
		check("queued", r, err)
	})
	wg.Wait()
	var r ipc.Reply
	err := (&client{t: t}).call(d.Send, ipc.Send{Team: "web", Text: "echo:x", OnLimit: "fail"}, &r)
	check("sent later", r, err)
	var again ipc.Reply
	err = (&client{t: t}).call(d.Result, ipc.MessageRef{ID: r.ID}, &again)
	check("asked for later", again, err)
}

// A turn in which something was done is not run again.
func TestOnlyATurnThatDidNothingIsPutOff(t *testing.T) {
	d := newDispatcher(t, limitTeams(t, "api"))
	d.o.Pool.SetAccount("api", "shared")
	m := d.newDelivery(journal.New{ID: "m1", Team: "api", Body: []byte("x"), At: time.Now()})
	for _, nothing := range []bool{false, true} {
		res := &turn.Result{Outcome: turn.RateLimited, NothingDone: nothing}
		if got := m.putsOff(res); got != nothing {
			t.Errorf("nothing done: %v; put off: %v", nothing, got)
		}
	}
}

// The messages of an account that was limited when the daemon ended wait on.
func TestGateSurvivesTheDaemon(t *testing.T) {
	d := newDispatcher(t, limitTeams(t, "api"))
	reset := time.Now().Add(2 * time.Second)
	if err := d.o.Store.SetGates([]journal.Gate{{Account: "shared", Until: reset, Teams: []string{"api"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.o.Store.Accept(journal.New{ID: "m1", Team: "api", Body: []byte("echo:x"), At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := d.Recover(nil, nil); err != nil {
		t.Fatal(err)
	}
	m := d.inflight.live.get("m1")
	if m == nil {
		t.Fatal("the message does not wait")
	}
	<-m.done
	if time.Now().Before(reset) || m.end.state != journal.Done {
		t.Errorf("it ended as %+v, %v before the reset", m.end, time.Until(reset))
	}
}
