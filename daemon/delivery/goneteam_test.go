package delivery

import (
	"context"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iris/config"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/turn"
)

// Only a conversation whose team is gone is held for it, until the team is back.
func TestConversationWaitsForItsTeam(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	k := pool.Key{Team: "api"}
	d.HoldTeamless(k)
	if d.lacksTeams() {
		t.Error("held although the team is there")
	}
	there := d.o.Config
	d.o.Config = func() *config.Config { return new(config.Config) }
	for range 2 {
		d.HoldTeamless(k)
	}
	d.HoldTeamless(pool.Key{Team: "api", Session: "s"})
	d.ReleaseTeams()
	if !d.lacksTeams() || len(d.holds.teamless) != 2 {
		t.Errorf("held: %v", d.holds.teamless)
	}
	d.o.Config = there
	d.ReleaseTeams()
	if d.lacksTeams() {
		t.Error("still held")
	}
}

// The configuration is read again while messages wait for a team, and not after that.
func TestConfigurationIsReadWhileATeamIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		d := New(Options{})
		d.o.Look = func() {
			if looks++; looks%3 == 0 { // the team is back
				d.holds.mu.Lock()
				d.holds.teamless = nil
				d.holds.mu.Unlock()
			}
		}
		ctx, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { d.AwaitTeams(ctx) })
		for _, want := range []int{3, 6} {
			d.holds.mu.Lock()
			d.holds.teamless = map[pool.Key]bool{api: true}
			d.holds.mu.Unlock()
			d.holds.teamGone <- struct{}{}
			time.Sleep(time.Hour)
			if synctest.Wait(); looks != want {
				t.Errorf("read %d times, want %d", looks, want)
			}
		}
		end()
		wg.Wait()
	})
}

// An agent must not allow its own tool calls by a message to itself.
func TestAgentAllowsNoToolsByAMessage(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api"))
	m := d.newDelivery(journal.New{ID: "m1", Team: "api", Body: []byte("hang:"), At: time.Now()})
	begun := make(chan bool, 1)
	m.notify = func(ipc.MessageState) { begun <- true }
	if _, err := m.submit(pool.Turn{}); err != nil {
		t.Fatal(err)
	}
	<-begun
	agent := d.o.Pool.Snapshot().Processes[0].PID
	for _, c := range []struct {
		v      turn.Variant
		agents bool // may send it
	}{
		{turn.Variant{}, true}, {turn.Variant{PermissionMode: "plan"}, true},
		{turn.Variant{PermissionMode: "acceptEdits"}, false}, {turn.Variant{AllowedTools: "Bash"}, false},
	} {
		for pid, may := range map[int]bool{agent: c.agents, os.Getpid(): true} {
			err := (&client{t: t}).call(func(_ context.Context, call *ipc.Call) (any, error) {
				call.Peer.PID = pid
				_, _, err := d.bind(call)
				return nil, err
			}, ipc.Send{Team: "api", Text: "x", Options: c.v}, nil)
			if (err == nil) != may {
				t.Errorf("agent %v, %+v: %v", pid == agent, c.v, err)
			}
		}
	}
	d.o.Pool.Cancel("m1")
	<-m.done
}
