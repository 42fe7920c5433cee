package pool

import (
	"strings"

	"pgregory.net/rapid"
)

// limitsOfMemory are those of the random tables; most agents have 50 to 300 bytes.
var limitsOfMemory = []int64{0, 300, 600}

const forMemory = ": memory"

// memoryModel is what the model knows of memory: it adds everything up each time.
type memoryModel struct {
	used, planned int64 // of all agents that are not stopping
	leaving       int64 // measured size of those that are stopping
	idle          int64 // measured size of those that may be stopped
	others        int   // agents that may not be stopped, and are not stopping
}

func (w *world) memoryNow() (m memoryModel) {
	for _, s := range w.t.slots {
		switch {
		case s.state == Stopping && !s.orphan:
			m.leaving += s.load.used
			continue
		case s.state == Idle && (len(s.queue.entries) == 0 || s.queue.stopped()):
			m.idle += s.load.used
		default:
			m.others++
		}
		m.used += s.load.used
		m.planned += s.load.planned
	}
	return m
}

// lack is how much memory the head of the waiting queues lacks when all stopping
// agents are gone.
func (w *world) lack(m memoryModel) int64 {
	t := w.t
	if t.waiting.len() == 0 || t.MaxMemoryTotal == 0 {
		return 0
	}
	room := t.MaxMemoryTotal - m.planned
	if !t.mem.at.IsZero() {
		room = min(room, t.mem.Spare+m.leaving-(m.planned-m.used))
	}
	return max(0, t.size(t.waiting.first().key.Team)-room)
}

// mayStart checks that there is memory for a start: within the limit and what the
// machine has left, counting what young agents will still take.
func (w *world) mayStart(s *slot) {
	t := w.t
	if t.MaxMemoryTotal == 0 || len(t.slots) == 1 {
		return
	}
	var all load
	for _, o := range t.slots {
		all.add(o.load)
	}
	if all.planned > t.MaxMemoryTotal && s.load.planned > 0 {
		w.Fatalf("%s starts, and the agents need %d bytes of %d", s.id, all.planned, t.MaxMemoryTotal)
	}
	if t.mem.at.IsZero() || all.planned-all.used > t.mem.Spare && s.load.planned > 0 {
		w.Fatalf("%s starts, and the agents need %d bytes more of %+v", s.id, all.planned-all.used, t.mem.Memory)
	}
}

// mayStopForMemory checks that no agent in use is stopped for memory, and none in vain.
func (w *world) mayStopForMemory(s *slot) {
	m, vain := w.memory, false
	switch {
	case s.why == "over max_memory_total":
		vain = m.idle < m.used-w.t.MaxMemoryTotal
	case s.why == "memory pressure":
	case strings.HasSuffix(s.why, forMemory):
		vain = m.others > 0 && m.idle < w.lack(m)
	default:
		return
	}
	if s.entry != nil || w.working[s] || vain {
		w.Fatalf("%s has turn %v, works: %v, in vain: %v, and is stopped: %s", s.id, s.entry, w.working[s], vain, s.why)
	}
}

// waitsForMemory reports whether the head of the waiting queues may wait for memory.
func (w *world) waitsForMemory() bool {
	t := w.t
	return t.mem.sampling || t.waiting.len() > 0 && t.lack(t.waiting.first().key.Team, load{}) > 0
}

// checkMemory adds up everything that the table keeps about memory.
func (w *world) checkMemory() {
	t := w.t
	var all, leaving load
	for _, s := range t.slots {
		all.add(s.load)
		if s.state == Stopping && !s.orphan {
			leaving.add(s.load)
		}
		if s.load.used > s.load.planned {
			w.Fatalf("%s uses more than is planned: %+v", s.id, s.load)
		}
	}
	if all != t.mem.all || leaving != t.mem.leaving || t.mem.sampling != (len(w.samples) > 0) {
		w.Fatalf("memory: got %+v, want all %+v, leaving %+v, %d samples under way", t.mem, all, leaving, len(w.samples))
	}
	m := w.memoryNow()
	need := w.lack(m)
	switch {
	case t.MaxMemoryTotal == 0 || t.mem.sampling:
	case t.waiting.len() > 0 && need > 0 && t.starting < t.starts && m.idle > 0 && (m.idle >= need || m.others == 0):
		w.Fatalf("%v waits for %d bytes, and idle agents have them: %+v", t.waiting.first().key, need, m)
	case m.used > t.MaxMemoryTotal && m.idle >= m.used-t.MaxMemoryTotal:
		w.Fatalf("the agents use more than %d, and idle agents can give it: %+v", t.MaxMemoryTotal, m)
	}
}

func (w *world) sizeOf() int64 { return rapid.Int64Range(0, 350).Draw(w.T, "memory") }

// measured is the end of the check of one agent.
func (w *world) measured() {
	if len(w.agents) == 0 {
		w.Skip("none")
	}
	s := rapid.SampledFrom(w.agents).Draw(w.T, "which")
	n := w.sizeOf()
	w.update(func(t *table) { t.measured(s, Health{Memory: n}, nil) })
}

func (w *world) sampled() {
	st := take(w.T, &w.samples)
	sizes := make([]int64, len(st.slots))
	for i := range sizes {
		sizes[i] = w.sizeOf()
	}
	m := Memory{
		Spare:    rapid.SampledFrom([]int64{-100, 0, 150, 500, UnknownSpare}).Draw(w.T, "spare"),
		Pressure: rapid.IntRange(0, 3).Draw(w.T, "pressure") == 0,
	}
	w.update(func(t *table) { t.sampled(m, st.slots, sizes) })
}
