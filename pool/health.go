package pool

import (
	"errors"
	"time"
)

// restChecks is how many health checks pass over an agent that has done nothing since
// the last one: its memory has not changed, and asking it would only wake it up. Its
// exit is an event and needs no check.
const restChecks = 9

// armTick sets the next health check. Without slots there is none.
func (t *table) armTick() {
	if t.tick.i == 0 && t.HealthCheckInterval > 0 && len(t.slots) > 0 {
		t.setAlarm(&t.tick, t.now.Add(t.HealthCheckInterval))
	}
}

// checkAll checks the agents that are due: busy ones are measured, idle ones must
// also answer. Each slot has one check at a time.
func (t *table) checkAll() {
	t.armTick()
	t.emit(Event{Type: HealthCheck})
	if t.MaxMemoryTotal > 0 && len(t.slots) > 0 && !t.mem.sampling {
		t.takeSample(nil)
	}
	for _, s := range t.sortedSlots() {
		if s.checking || s.exited || s.state != Idle && s.state != Busy {
			continue
		}
		if s.state == Idle && s.checked == s.turns && s.skipped < restChecks {
			s.skipped++
			continue
		}
		s.checking, s.skipped, s.checked = true, 0, s.turns
		if s.state == Busy {
			s.checked = -1 // its turn may end before the answer, which then says nothing about the idle agent
		}
		t.do(step{kind: stepCheck, slot: s, ping: s.state == Idle})
	}
}

// measured records the result of a check. An agent that did not answer is stopped,
// unless it has had a turn since: then the turn shows whether it lives.
func (t *table) measured(s *slot, h Health, err error) {
	s.checking = false
	if s.state == Busy {
		s.checked = -1 // its new size is measured after the turn
	}
	untouched := s.state == Idle && s.checked == s.turns
	if err != nil {
		if untouched && !errors.Is(err, ErrBusy) {
			t.emit(s.event(ProcessError, "health check: "+err.Error()))
			t.stop(s, "does not answer")
		}
		return
	}
	t.sized(s, h.Memory)
}

const overMemory = "memory over max_memory"

// probed records the time of an agent's last progress, and decides whether its turn
// or its own work has stalled. Own work is never interrupted for that. A stall is
// reported once, and again only after progress.
func (t *table) probed(s *slot, e *entry, last time.Time) {
	if s.entry != e || s.state != Busy || e != nil && e.cause != nil {
		return
	}
	set := t.settings(s.queue.key.Team)
	if set.StallTimeout <= 0 {
		return
	}
	if begun := s.busySince(); last.Before(begun) {
		last = begun
	}
	if due := last.Add(set.StallTimeout); due.After(t.now) {
		t.setAlarm(&s.alarm, due)
		return
	}
	if !s.stalled.Equal(last) {
		s.stalled = last
		detail := "no output for " + t.now.Sub(last).Round(time.Second).String()
		if e == nil {
			t.emit(s.event(ProcessStalled, detail+", it works on: "+s.works))
		} else if t.about(s, e, ProcessStalled, detail); set.StallInterrupt {
			t.cancel(e, ErrStalled)
			return
		}
	}
	t.setAlarm(&s.alarm, t.now.Add(set.StallTimeout))
}
