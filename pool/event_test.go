package pool_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"iris/pool"
)

func TestEventsTellTheStory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s", func(turn *message) { turn.ID = "m-one" }).wait()
		c := submit(p, "b", "5s", func(turn *message) { turn.ID = "m-two" })
		gone := submit(p, "b", "1s", func(turn *message) { turn.ID = "m-three" })
		synctest.Wait()
		p.Cancel(gone.id)
		time.Sleep(3 * time.Second)
		p.Cancel(c.id)
		c.wait()
		p.Reconfigure(pool.Limits{MaxProcesses: 2})
		p.Close()
		evs, last, missed := p.Events(0)
		var got []string
		for i, e := range evs {
			if e.Seq != uint64(i+1) || e.Time.IsZero() {
				t.Errorf("event %d has the number %d, the time %v", i+1, e.Seq, e.Time)
			}
			got = append(got, strings.TrimSpace(strings.Join([]string{string(e.Type), e.Key.String(), e.Process, e.Message, e.Detail}, " ")))
		}
		want := []string{
			"message-queued a  m-one position 1",
			"process-spawned a p-1",
			"message-sent a p-1 m-one",
			"message-response a p-1 m-one success",
			"message-queued b  m-two position 1",
			"message-queued b  m-three position 2",
			"process-terminated a p-1  made room for b",
			"message-dropped b  m-three cancelled",
			"process-spawned b p-2",
			"message-sent b p-2 m-two",
			"message-response b p-2 m-two interrupted",
			"config-changed",
			"process-terminated b p-2  shutting down",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if last != uint64(len(want)) || missed != 0 || evs[1].PID == 0 || evs[1].Total != 1 || evs[1].Max != 1 {
			t.Errorf("last %d, missed %d, %+v", last, missed, evs[1])
		}
		if evs, _, _ := p.Events(last - 2); len(evs) != 2 || evs[0].Type != pool.ConfigChanged {
			t.Errorf("got %+v, want the last two", evs)
		}
		if evs, _, _ := p.Events(last); len(evs) != 0 {
			t.Errorf("got %+v, want none", evs)
		}
		// A number from the future was given out by an earlier pool.
		if evs, _, missed := p.Events(last + 1000); len(evs) != len(want) || missed != 0 {
			t.Errorf("got %d events, %d missed, want all", len(evs), missed)
		}
	})
}

func TestEventsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		for range 3000 {
			p.Reconfigure(pool.Limits{MaxProcesses: 1})
		}
		evs, last, missed := p.Events(0)
		if len(evs) != 1024 || last != 3000 || missed != 3000-1024 || evs[0].Seq != missed+1 || evs[1023].Seq != last {
			t.Errorf("got %d events, last %d, missed %d", len(evs), last, missed)
		}
		evs, _, missed = p.Events(2990)
		if len(evs) != 10 || missed != 0 {
			t.Errorf("got %d events after 2990, %d missed", len(evs), missed)
		}
	})
}

func TestSubscription(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		sub := p.Subscribe(1)
		defer sub.Close()
		next := func() pool.EventType {
			e, err := sub.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return e.Type
		}
		for _, want := range []pool.EventType{pool.ProcessSpawned, pool.MessageSent, pool.MessageResponse} {
			if got := next(); got != want { // replayed
				t.Errorf("got %s, want %s", got, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if e, err := sub.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %+v, %v, want to wait", e, err)
		}
		time.AfterFunc(time.Minute, func() { submit(p, "a", "1s") })
		if got := next(); got != pool.MessageSent { // live
			t.Errorf("got %s", got)
		}
		p.Close()
		for range 2 {
			next()
		}
		for range 2 {
			if _, err := sub.Next(t.Context()); !errors.Is(err, pool.ErrClosed) {
				t.Errorf("got %v, want %v", err, pool.ErrClosed)
			}
		}
	})
}

func TestSlowReaderIsDroppedAndToldSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		sub := p.Subscribe(0)
		defer sub.Close()
		p.Reconfigure(pool.Limits{MaxProcesses: 1})
		if _, err := sub.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 1024 {
			p.Reconfigure(pool.Limits{MaxProcesses: 1})
		}
		if e, err := sub.Next(t.Context()); err != nil || e.Seq != 2 {
			t.Errorf("got %+v, %v: nothing was lost yet", e, err)
		}
		for range 2 {
			p.Reconfigure(pool.Limits{MaxProcesses: 1})
		}
		for range 2 {
			if _, err := sub.Next(t.Context()); !errors.Is(err, pool.ErrSlow) {
				t.Errorf("got %v, want %v", err, pool.ErrSlow)
			}
		}
		late := p.Subscribe(2)
		if e, err := late.Next(t.Context()); err != nil || late.Missed != 1 || e.Seq != 4 {
			t.Errorf("got %+v, %v, missed %d, want to go on at 4", e, err, late.Missed)
		}
		late.Close()
		late.Close()
		if _, err := late.Next(t.Context()); !errors.Is(err, pool.ErrClosed) {
			t.Errorf("got %v, want %v", err, pool.ErrClosed)
		}
	})
}

// After Skip only later events can be read.
func TestSkip(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		sub := p.Subscribe(0)
		defer sub.Close()
		sub.Skip()
		_, last, _ := p.Events(0)
		submit(p, "a", "1s").wait()
		if e, err := sub.Next(t.Context()); err != nil || e.Seq != last+1 {
			t.Errorf("got event %d, %v, want %d", e.Seq, err, last+1)
		}
	})
}

// A reader that rests is woken early only before it would lose events, and at the end.
func TestRest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		sub := p.Subscribe(0)
		defer sub.Close()
		events := func(n int) {
			for range n {
				p.Reconfigure(pool.Limits{MaxProcesses: 1})
			}
		}
		rest := func() time.Duration {
			begun := time.Now()
			sub.Rest(t.Context(), time.Second)
			return time.Since(begun)
		}
		events(1)
		time.AfterFunc(time.Millisecond, func() { events(200) })
		if took := rest(); took != time.Second {
			t.Errorf("with few events: rested %v", took)
		}
		n := 0
		for _, more := sub.Ready(); more; _, more = sub.Ready() {
			n++
		}
		if n != 201 {
			t.Errorf("read %d events, want 201", n)
		}
		time.AfterFunc(time.Millisecond, func() { events(500) })
		if took := rest(); took != time.Millisecond {
			t.Errorf("with many events: rested %v", took)
		}
		if sub.Skip(); rest() != time.Second {
			t.Error("what was skipped ended the rest")
		}
		time.AfterFunc(time.Millisecond, func() { p.Close() })
		if took := rest(); took != time.Millisecond {
			t.Errorf("to the end: rested %v", took)
		}
	})
}
