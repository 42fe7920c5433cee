package pool

import (
	"cmp"
	"slices"
	"time"
)

// Memory is what the machine, or the cgroup, has left at one moment.
type Memory struct {
	Spare    int64 // bytes that agents may still take; negative if less than the reserve is free; UnknownSpare if unknown
	Pressure bool  // processes wait for memory
}

// UnknownSpare is the Spare of a system that does not tell it. Every larger one means
// the same.
const UnknownSpare = 1 << 60

// reliefShare is the part of their memory that the agents give up at each sample under
// pressure: 1/reliefShare.
const reliefShare = 4

// memory is what the table knows about memory. The sums are kept with every change of
// a slot, so that a decision does not depend on the number of agents.
type memory struct {
	Memory
	at       time.Time        // of the last sample; zero before the first
	sampling bool             // a sample is under way
	relief   int64            // bytes that idle agents are still to give up because of pressure
	all      load             // of all slots
	leaving  load             // of the stopping slots, without the orphans
	usual    map[string]int64 // size of an agent, by team; from the samples
}

// load is the memory of one or more slots in bytes.
type load struct {
	used    int64 // as measured
	planned int64 // used, or the usual size until an agent has ended its first turn
}

func (l *load) add(o load)      { l.used += o.used; l.planned += o.planned }
func (l load) minus() load      { return load{-l.used, -l.planned} }
func (l load) plus(o load) load { l.add(o); return l }

// maxUsual is the number of teams whose size is remembered.
const maxUsual = 1000

// weigh records how much memory a slot uses, and what it counts for.
func (t *table) weigh(s *slot, used int64) {
	if t.slots[s.id] != s {
		return
	}
	l := load{used, used}
	if used == 0 || s.ended == 0 {
		l.planned = max(used, t.size(s.queue.key.Team))
	}
	t.shift(s, l.plus(s.load.minus()))
	s.load = l
}

// shift changes the sums that a slot is part of.
func (t *table) shift(s *slot, by load) {
	t.mem.all.add(by)
	if s.state == Stopping && !s.orphan {
		t.mem.leaving.add(by)
	}
}

// learn takes the size of an agent that has had a turn into the usual size of its team.
func (t *table) learn(s *slot, used int64) {
	if used <= 0 || s.ended == 0 {
		return
	}
	team := s.queue.key.Team
	if old, ok := t.mem.usual[team]; ok {
		used = (old + used) / 2
	} else if t.mem.usual == nil || len(t.mem.usual) >= maxUsual {
		t.mem.usual = map[string]int64{}
	}
	t.mem.usual[team] = used
}

// size is how large an agent of a team is likely to become. One that becomes larger
// than its team allows is replaced.
func (t *table) size(team string) int64 {
	set := t.settings(team)
	n, ok := t.mem.usual[team]
	if !ok {
		n = set.Size
	}
	if set.MaxMemory > 0 {
		n = min(n, set.MaxMemory)
	}
	return n
}

// room is how much memory new agents could take if that load were gone.
func (t *table) room(gone load) int64 {
	stay := t.mem.all.plus(gone.minus())
	return min(t.MaxMemoryTotal-stay.planned, t.spare()+gone.used-(stay.planned-stay.used))
}

// spare is what the machine had left at the last sample.
func (t *table) spare() int64 {
	if t.mem.at.IsZero() {
		return UnknownSpare
	}
	return t.mem.Spare
}

// lack is how much memory is missing for an agent of a team if that load were gone; 0
// if none is. The only agent always has enough, whatever its size, and so has one without
// which no other would ever give its memory back.
func (t *table) lack(team string, gone load) int64 {
	if t.MaxMemoryTotal == 0 {
		return 0
	}
	need := max(0, t.size(team)-t.room(gone))
	if need > 0 && t.allWait() {
		return 0
	}
	return need
}

// allWait reports whether every agent waits for a message that it has sent.
func (t *table) allWait() bool { return t.waitingAgents() == len(t.slots) }

// waitingAgents is the number of agents that wait for messages which they have sent.
func (t *table) waitingAgents() (n int) {
	for e := t.busy.Front(); e != nil; e = e.Next() {
		if len(e.Value.(*slot).children()) > 0 {
			n++
		}
	}
	return n
}

// starved returns how much memory the first waiting queue lacks that is not becoming
// free; 0 if it could not start for other reasons.
func (t *table) starved() int64 {
	if t.waiting.len() == 0 || t.starting >= t.starts || len(t.slots) == t.stopping {
		return 0
	}
	return t.lack(t.waiting.first().key.Team, t.mem.leaving)
}

// makeMemory stops the idle agents that have the memory which the first waiting queue
// needs.
func (t *table) makeMemory(need int64) bool {
	found := t.givers(need)
	for _, s := range found {
		t.stop(s, "made room for "+t.waiting.first().key.String()+": memory")
	}
	return len(found) > 0
}

// hopeless reports whether an agent of a team would get memory only when somebody
// else's turn ends.
func (t *table) hopeless(team string) bool {
	need := t.lack(team, t.mem.leaving)
	return need > 0 && len(t.slots) > t.stopping && t.givers(need) == nil
}

// givers returns the idle agents that are to stop, least recently used first, so that
// this much memory becomes free; nil if all together do not have so much, unless the agents
// that are left then only wait for messages.
func (t *table) givers(need int64) []*slot {
	idle := t.stoppable()
	found := enough(idle, need)
	if found == nil && len(idle) == len(t.slots)-t.stopping-t.waitingAgents() {
		return idle
	}
	return found
}

// stoppable returns the idle slots that may be stopped, least recently used first.
func (t *table) stoppable() (all []*slot) {
	for e := t.idle.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*slot); !s.queue.wants() {
			all = append(all, s)
		}
	}
	return all
}

// enough returns slots, the first ones preferred, that together use that much memory,
// without those that the others make unnecessary; nil if all together use less.
func enough(slots []*slot, need int64) (found []*slot) {
	var sum int64
	for i := 0; i < len(slots) && sum < need; i++ {
		found = append(found, slots[i])
		sum += slots[i].load.used
	}
	if sum < need {
		return nil
	}
	bySize := slices.SortedStableFunc(slices.Values(found), func(a, b *slot) int { return cmp.Compare(a.load.used, b.load.used) })
	for _, s := range bySize {
		if sum-s.load.used >= need {
			sum -= s.load.used
			found = slices.DeleteFunc(found, func(f *slot) bool { return f == s })
		}
	}
	return found
}

// relieve stops idle agents if the agents use more than their limit, or under pressure:
// the largest for the time that they have been idle first. If the idle ones cannot give
// enough, none is stopped: their conversations would get cold in vain, while a busy
// agent has the memory.
func (t *table) relieve() bool {
	if t.MaxMemoryTotal == 0 {
		return false
	}
	need, why := t.mem.relief, "memory pressure"
	if over := t.mem.all.used - t.mem.leaving.used - t.MaxMemoryTotal; over > need {
		need, why = over, "over max_memory_total"
	}
	t.mem.relief = 0
	if need <= 0 {
		return false
	}
	idle := t.stoppable()
	slices.SortStableFunc(idle, func(a, b *slot) int { return cmp.Compare(t.waste(b), t.waste(a)) })
	found := enough(idle, need)
	for _, s := range found {
		t.stop(s, why)
	}
	return len(found) > 0
}

// waste is the memory of an idle slot by the time that it has not been used.
func (t *table) waste(s *slot) float64 {
	return float64(s.load.used) * (t.now.Sub(s.used) + time.Second).Seconds()
}
