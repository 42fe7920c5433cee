package pool

import (
	"context"
	"time"
)

// sampleAge is how old the last sample may be when an agent starts.
const sampleAge = 5 * time.Second

// sample measures the memory before a decision about a queue that needs an agent. The
// only agent may start whatever the result.
func (t *table) sample() bool {
	if t.mem.sampling || t.MaxMemoryTotal == 0 || len(t.slots) == 0 || t.waiting.len() == 0 {
		return false
	}
	possible := t.starting < t.starts && (len(t.slots) < t.MaxProcesses || t.idle.Len() > 0)
	if !possible || !t.mem.at.IsZero() && t.now.Sub(t.mem.at) < sampleAge {
		return false
	}
	var slots []*slot
	for _, s := range t.sortedSlots() {
		known := s.state == Idle && s.sampled == s.turns
		if s.state != Idle && s.state != Busy || s.exited || known {
			continue
		}
		slots = append(slots, s)
		s.sampled = s.turns
		if s.state == Busy {
			s.sampled = -1
		}
	}
	t.takeSample(slots)
	return true
}

// takeSample measures the machine, and these slots.
func (t *table) takeSample(slots []*slot) {
	t.mem.sampling = true
	t.do(step{kind: stepSample, slots: slots})
}

// sampled records a sample. A size of 0 is unknown.
func (t *table) sampled(m Memory, slots []*slot, sizes []int64) {
	m.Spare = min(m.Spare, UnknownSpare)
	t.mem.Memory, t.mem.at, t.mem.sampling = m, t.now, false
	for i, s := range slots {
		if sizes[i] > 0 {
			t.sized(s, sizes[i])
		}
	}
	if m.Pressure {
		t.mem.relief = max(1, (t.mem.all.used-t.mem.leaving.used)/reliefShare)
	}
}

// sized records the size of a slot. An agent that is larger than its team allows stops,
// a busy one at the end of its turn.
func (t *table) sized(s *slot, memory int64) {
	t.learn(s, memory)
	t.weigh(s, memory)
	limit := t.settings(s.queue.key.Team).MaxMemory
	switch {
	case limit <= 0 || memory <= limit:
	case s.state == Idle:
		t.stop(s, overMemory)
	case s.state == Busy:
		s.retire = overMemory
		t.reindex(s.queue)
	}
}

// sample measures the machine and these agents.
func (p *Pool[A]) sample(slots []*slot, agents []A) {
	ctx, cancel := context.WithTimeout(p.ctx, checkTimeout)
	defer cancel()
	sizes := make([]int64, len(agents))
	for i, a := range agents {
		if h, err := a.Check(ctx, false); err == nil {
			sizes[i] = h.Memory
		}
	}
	m := Memory{Spare: UnknownSpare}
	if p.cfg.Memory != nil {
		m = p.cfg.Memory()
	}
	p.update(func(t *table) { t.sampled(m, slots, sizes) })
}
