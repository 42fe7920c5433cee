package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"iris/pool"
)

// goneOf returns a pool, and a function that lists the agents that are gone.
func goneOf(h *house, l pool.Limits, s pool.Settings) (*testPool, func() []pool.Gone) {
	h.max = l.MaxProcesses
	var all []pool.Gone // the pool's lock protects it
	p := pool.New(pool.Config[*fake]{
		Limits: l, Settings: func(string) pool.Settings { return s }, Start: h.Start, Prefix: "p",
		Gone: func(g pool.Gone) { all = append(all, g) },
	})
	h.t.Cleanup(p.Close)
	return p, func() []pool.Gone { p.Busy(); return all } // Busy takes the lock
}

func TestEachAgentThatIsGoneIsReportedOnceWithItsReason(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p, gone := goneOf(h, pool.Limits{MaxProcesses: 1}, pool.Settings{IdleTimeout: time.Minute})
		began := time.Now()
		submit(p, "a", "1s").wait()
		submit(p, "a", "1s").wait()
		submit(p, "b", "1s").wait()
		time.Sleep(2 * time.Minute) // b
		c := submit(p, "c", "1h")
		time.Sleep(2 * time.Second)
		p.Kill(only("c")) // it is on the list when Kill returns
		c.wait()
		var got []string
		for _, g := range gone() {
			got = append(got, g.Key.String()+" "+g.ID+" "+g.Why)
		}
		want := []string{"a p-1 made room for b", "b p-2 idle_timeout", "c p-3 killed"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("gone (-want +got):\n%s", diff)
		}
		a := gone()[0]
		if !a.Started.Equal(began) || a.Ready.Sub(a.Started) != time.Second || a.Ended.Sub(a.Ready) != 2*time.Second || a.Messages != 2 || a.PID == 0 {
			t.Errorf("got %+v", a)
		}
	})
}

func TestAgentThatEndsByItselfSaysHow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p, gone := goneOf(h, pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		p.Snapshot().Processes[0].Agent.quit("signal: killed")
		synctest.Wait()
		if all := gone(); len(all) != 1 || all[0].Why != "ended by itself: signal: killed" {
			t.Errorf("got %+v", all)
		}
	})
}

func TestAgentThatNeverStartedIsNotReported(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.startErr = func(k pool.Key, _ int) error { return &pool.StartError{Team: k.Team, Permanent: true, Err: errNoLuck} }
		p, gone := goneOf(h, pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		p.Close()
		if all := gone(); len(all) != 0 {
			t.Errorf("got %+v", all)
		}
	})
}
