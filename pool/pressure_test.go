package pool_test

import (
	"sync/atomic"
	"testing"
	"time"

	"iris/pool"
)

// pressed is a machine whose processes wait for memory while on is set.
func pressed(on *atomic.Bool) func() pool.Memory {
	return func() pool.Memory { return pool.Memory{Spare: pool.UnknownSpare, Pressure: on.Load()} }
}

func TestUnderPressureTheLargestForItsIdlenessGoesFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		var pressure atomic.Bool
		h.memory = pressed(&pressure)
		h.size = sizes(map[string]int64{"old": 20, "big": 100, "last": 120, "busy": 100})
		p := h.pool(within(10000), pool.Settings{})
		for _, k := range []string{"old", "big", "last"} {
			submit(p, k, "4m").wait()
		}
		busy := submit(p, "busy", "10m")
		time.Sleep(5 * time.Second)
		pressure.Store(true)
		time.Sleep(28 * time.Second) // a health check
		mustEnds(t, p, map[string]string{"big": "memory pressure"})
		time.Sleep(30 * time.Second)
		mustEnds(t, p, map[string]string{"big": "memory pressure", "last": "memory pressure"})
		time.Sleep(5 * time.Minute) // the old one is not worth it: it has less than a quarter
		mustEnds(t, p, map[string]string{"big": "memory pressure", "last": "memory pressure"})
		busy.mustText(t, "busy:10m")
	})
}

func TestNoMemoryOfTheMachineNoStartBesideOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		var spare atomic.Int64
		spare.Store(-1)
		h.memory = func() pool.Memory { return pool.Memory{Spare: spare.Load()} }
		h.size = sizes(map[string]int64{"a": 100, "b": 100})
		p := h.pool(within(10000), pool.Settings{Size: 100})
		submit(p, "a", "10m")
		time.Sleep(10 * time.Second)
		b := submit(p, "b", "1s")
		time.Sleep(5 * time.Minute)
		if _, why := p.Position(b.id); why != "memory" {
			t.Errorf("b waits for %q", why)
		}
		spare.Store(100)
		time.Sleep(time.Minute) // a health check sees it
		b.mustText(t, "b:1s")
	})
}

func TestWithoutALimitMemoryIsNotLookedAt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.memory = func() pool.Memory { t.Error("looked at"); return pool.Memory{Spare: -1, Pressure: true} }
		h.grow = 1000
		p := h.pool(within(0), pool.Settings{Size: 1000})
		for _, k := range []string{"a", "b"} {
			submit(p, k, "1s").wait()
		}
		time.Sleep(time.Hour)
		mustEnds(t, p, nil)
	})
}

// An idle daemon is not woken for samples: they come with the health check.
func TestMemoryIsSampledWithTheHealthCheckAndBeforeAStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		var looks atomic.Int64
		h.memory = func() pool.Memory { looks.Add(1); return pool.Memory{Spare: pool.UnknownSpare} }
		p := h.pool(within(1000), pool.Settings{})
		time.Sleep(time.Hour)
		submit(p, "a", "1s").wait()
		if n := looks.Load(); n != 0 {
			t.Errorf("%d samples for an empty pool", n)
		}
		submit(p, "b", "1s").wait()
		submit(p, "c", "1s").wait()
		if n := looks.Load(); n != 1 {
			t.Errorf("%d samples for two starts together, want 1", n)
		}
		time.Sleep(10 * time.Minute)
		if n := looks.Load(); n != 21 {
			t.Errorf("%d samples in 10 minutes, want 20 more", n)
		}
	})
}

func TestWhenFullFailRefusesWhatWouldWaitForMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.size = sizes(map[string]int64{"a": 100})
		l := within(150)
		l.WhenFull = pool.WhenFullFail
		p := h.pool(l, pool.Settings{Size: 100})
		a := submit(p, "a", "1m")
		time.Sleep(2 * time.Second)
		submit(p, "b", "1s").mustErr(t, pool.ErrNoMemory)
		a.wait()
		submit(p, "b", "1s").mustText(t, "b:1s")
	})
}

func TestFairWaitHoldsForMemoryToo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.size = sizes(map[string]int64{"a": 100})
		l := within(150)
		l.FairWait = 30 * time.Second
		p := h.pool(l, pool.Settings{Size: 100})
		for range 100 {
			submit(p, "a", "10s")
		}
		time.Sleep(time.Minute)
		b := submit(p, "b", "1s")
		time.Sleep(50 * time.Second)
		if !b.ended() {
			t.Error("b did not get its turn")
		}
	})
}
