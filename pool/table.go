package pool

import (
	"cmp"
	"container/list"
	"slices"
	"strconv"
	"time"
)

// table makes every decision of the pool, as pure data. It has no lock, goroutine or
// clock: Pool.update sets now, changes the table through one of its methods and then
// launches the steps that next returns.
type table struct {
	Limits
	settings func(team string) Settings
	jitter   func(time.Duration) time.Duration // returns 0 to its argument
	prefix   string
	starts   int // Start calls at a time

	now     time.Time
	queues  map[Key]*queue
	slots   map[string]*slot  // by process id; the places taken
	entries map[string]*entry // by message id, until they end

	accounts map[string]string // of teams
	gates    map[string]*gate  // by account
	quotas   map[string]*quota // by account; empty for the teams without one
	reviews  []*quota          // that have changed

	idle    list.List // of *slot, by end of last use: the front is stopped first
	busy    list.List // of *slot, by start of their turn or own work
	ready   []*queue  // each has an idle slot and a message for it
	waiting heap[*queue]
	alarms  heap[*alarm]
	out     []step

	starting  int // Start calls under way
	stopping  int // slots that are stopping, without the orphans, which may take their time
	returning int // queues that wait until their own slot is gone
	messages  int // messages in queues
	spares    int // of these, spare ones
	queued    map[string]int
	active    int // entries whose Run has not returned, and slots whose agent does its own work

	seq    uint64 // the last number
	serial uint64 // of processes
	tick   alarm  // the next health check
	mem    memory
	money  money
	closed bool
	frozen bool // it decides nothing: see Pool.Freeze
	events feed
}

// step is something to do without the lock: the table only says what to do.
type step struct {
	kind  stepKind
	slot  *slot
	slots []*slot
	entry *entry
	err   error
	ping  bool
}

type stepKind int

const (
	stepStart     stepKind = iota // Config.Start for slot
	stepAbort                     // cancel a start that is no longer wanted
	stepGrant                     // take entry to slot's agent
	stepInterrupt                 // end entry's context with err
	stepStop                      // Agent.Stop
	stepGone                      // the slot is gone: tell its waiters
	stepAnswer                    // call entry's Run, if it has one, with err; answer a wake with slot
	stepProbe                     // read Agent.Progress
	stepCheck                     // Agent.Check
	stepSample                    // measure the memory of the machine and of slots
)

// number returns the next number in the order of events: of entries, of slots, and of
// queues that give their place up.
func (t *table) number() uint64 {
	t.seq++
	return t.seq
}

func (t *table) do(s step) { t.out = append(t.out, s) }

// next returns what to do now, one step at a time.
func (t *table) next() (step, bool) {
	for len(t.out) == 0 {
		if !t.decide() {
			return step{}, false
		}
	}
	s := t.out[0]
	t.out[0] = step{}
	if t.out = t.out[1:]; len(t.out) == 0 {
		t.out = nil
	}
	return s, true
}

// decide takes one decision, in this order: an idle agent goes to its next message
// before anything can end it; agents over a limit stop; then the keys that need a
// slot get a place, or one is freed for them.
func (t *table) decide() bool {
	if t.frozen {
		return false
	}
	return t.allot() || t.elect() || t.unpaid() || t.grant() || t.ring() || t.shrink() || t.relieve() || t.sample() || t.start() || t.makeRoom()
}

// grant takes the head of a queue to its slot.
func (t *table) grant() bool {
	if len(t.ready) == 0 {
		return false
	}
	q := t.ready[0]
	if t.ready = t.ready[1:]; len(t.ready) == 0 {
		t.ready = nil
	}
	q.ready = false
	if t.fund(q); q.short != nil {
		t.reindex(q)
		return true
	}
	s := q.slot
	if s == nil || !q.wants() || q.recording != nil || !t.takes(s, q.entries[0]) {
		return true // its state has changed since it was put there
	}
	e := q.entries[0]
	switch {
	case e.wake:
		t.pull(e)
		t.end(e)
		t.do(step{kind: stepAnswer, entry: e, slot: s})
		t.reindex(q)
	case e.turn.Fresh != s.fresh:
		t.stop(s, "not of the conversation that is wanted")
	case cold(e.turn.Variant.Value(), s.modes) != s.variant:
		q.replaced = "the next message is " + differs(cold(e.turn.Variant.Value(), s.modes), s.variant)
		t.stop(s, q.replaced)
	default:
		t.pull(e)
		t.run(s, e)
	}
	return true
}

// ring handles the alarm that is due longest.
func (t *table) ring() bool {
	if t.alarms.len() == 0 || t.alarms.first().at.After(t.now) {
		return false
	}
	a := t.alarms.first()
	t.alarms.remove(a)
	switch {
	case a.slot != nil && a.slot.state == Idle:
		t.stop(a.slot, "idle_timeout")
	case a.slot != nil:
		t.do(step{kind: stepProbe, slot: a.slot, entry: a.slot.entry})
	case a.queue != nil:
		t.retry(a.queue)
	case a.gate != nil:
		t.awaitReset(a.gate)
	case a == &t.money.look:
		t.nextPeriod()
	case a.quota != nil:
		t.review(a.quota)
	default:
		t.checkAll()
	}
	return true
}

// retry lets a queue try again after its back-off, and forgets the failures of a
// queue without messages.
func (t *table) retry(q *queue) {
	if !q.wants() {
		q.fails, q.err = 0, nil
	}
	t.reindex(q)
}

// setAlarm sets an alarm; it rings once.
func (t *table) setAlarm(a *alarm, at time.Time) {
	a.at = at
	t.alarms.put(a)
}

// due is the time of the next alarm; zero for none.
func (t *table) due() time.Time {
	if t.frozen || t.alarms.len() == 0 {
		return time.Time{}
	}
	return t.alarms.first().at
}

// overfull reports whether there are more slots than the limit allows, not counting
// those that are stopping.
func (t *table) overfull() bool { return len(t.slots)-t.stopping > t.MaxProcesses }

// shrink stops an idle agent if the pool drains or its limit was lowered.
func (t *table) shrink() bool {
	if !t.closed && !t.overfull() {
		return false
	}
	s := t.victim()
	if s == nil {
		return false
	}
	t.stop(s, t.surplus())
	return true
}

func (t *table) surplus() string {
	if t.closed {
		return "shutting down"
	}
	return "max_processes lowered"
}

// start gives a slot to the queue that waits longest. The slot takes its place here,
// before Start is called, so that the limit cannot be exceeded.
func (t *table) start() bool {
	if t.waiting.len() == 0 || len(t.slots) >= t.MaxProcesses || t.starting >= t.starts || t.mem.sampling {
		return false
	}
	q := t.waiting.first()
	if t.lack(q.key.Team, load{}) > 0 {
		return false
	}
	t.serial++
	s := t.newSlot(q.key, t.prefix+"-"+strconv.FormatUint(t.serial, 10))
	s.fresh, s.variant = q.entries[0].turn.Fresh, cold(q.entries[0].turn.Variant.Value(), false)
	s.state, s.why = Starting, q.why
	s.replaced, q.replaced = q.replaced, ""
	q.slot = s
	t.starting++
	t.reindex(q)
	t.do(step{kind: stepStart, slot: s})
	return true
}

// short reports whether a queue needs a place that is not becoming free. At most as
// many places are freed as agents may start at a time: more would gain nothing.
func (t *table) short() bool {
	wanted := min(t.waiting.len()+t.returning, t.starts-t.starting)
	return wanted > 0 && wanted > t.MaxProcesses-len(t.slots)+t.stopping
}

// makeRoom stops the least recently used idle agent; for memory, as many as are needed.
// A busy agent is stopped only if the configuration says so, and never for memory, if
// it waits for the message itself or if it works by itself.
func (t *table) makeRoom() bool {
	if t.mem.sampling {
		return false
	}
	if need := t.starved(); need > 0 {
		return t.makeMemory(need)
	}
	if !t.short() {
		return false
	}
	why := "made room"
	if t.waiting.len() > 0 {
		why += " for " + t.waiting.first().key.String()
	}
	if s := t.victim(); s != nil {
		t.stop(s, why)
		return true
	}
	if t.WhenFull != WhenFullEvict || t.waiting.len() == 0 || t.waiting.first().spare() {
		return false
	}
	for e := t.busy.Front(); e != nil; e = e.Next() {
		s := e.Value.(*slot)
		if s.work == nil && !t.waiting.first().entries[0].descends(s.entry) {
			t.setCause(s.entry, ErrEvicted)
			t.stop(s, why)
			return true
		}
	}
	return false
}

// victim is the least recently used idle slot. A slot whose next message only waits
// for the Run of the last counts as busy; a slot whose messages are held,
// or whose account is limited, does not.
func (t *table) victim() *slot {
	for e := t.idle.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*slot); !s.queue.wants() {
			return s
		}
	}
	return nil
}

// yields reports whether an agent at the end of a turn gives its place to a queue
// that has waited longer than FairWait, although its own queue is not empty. It must
// have had FairWait itself, so that two busy teams change places at that pace and not
// with every turn.
func (t *table) yields(s *slot) bool {
	own := s.queue.spare()
	if t.FairWait <= 0 || !own && !s.queue.wants() || t.waiting.len() == 0 || !own && t.waiting.first().spare() {
		return false
	}
	if t.now.Sub(s.readyAt) < t.FairWait || t.now.Sub(t.waiting.first().since()) <= t.FairWait {
		return false
	}
	return (t.short() || t.starved() > 0) && t.victim() == nil
}

// reconfigure takes over new limits and sets the timers anew, since the settings of
// the teams may have changed with them.
func (t *table) reconfigure(l Limits) {
	t.Limits = l
	for _, s := range t.sortedSlots() {
		t.arm(s)
		t.reindex(s.queue)
	}
	t.forgive()
	t.reconsider(true)
	for _, q := range t.queues {
		if q.candidate.i > 0 { // SpareBelow may have changed
			t.reindex(q)
		}
	}
	t.alarms.remove(&t.tick)
	t.armTick()
	t.failDeadlocked()
	t.emit(Event{Type: ConfigChanged})
}

// forgive forgets the failed starts of all keys.
func (t *table) forgive() {
	for _, q := range t.queues {
		if q.fails > 0 {
			q.fails, q.err, q.retryAt = 0, nil, time.Time{}
			t.reindex(q)
		}
	}
}

// drain refuses new messages and ends the waiting ones; running turns go on.
func (t *table) drain() {
	t.closed, t.frozen = true, false
	for _, q := range t.sortedQueues() {
		t.dropAll(q, ErrClosed)
	}
}

// close drains and ends every agent, even the busy ones.
func (t *table) close() {
	t.drain()
	for _, s := range t.sortedSlots() {
		s.again = false
		t.kill(s, "shutting down", ErrShutdown)
	}
}

func (t *table) sortedQueues() []*queue {
	all := make([]*queue, 0, len(t.queues))
	for _, q := range t.queues {
		if len(q.entries) > 0 {
			all = append(all, q)
		}
	}
	slices.SortFunc(all, func(a, b *queue) int { return cmp.Compare(a.age(), b.age()) })
	return all
}

// sortedSlots returns the slots in order of creation.
func (t *table) sortedSlots() []*slot {
	all := make([]*slot, 0, len(t.slots))
	for _, s := range t.slots {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *slot) int { return cmp.Compare(a.nr, b.nr) })
	return all
}

func (t *table) emit(e Event) {
	e.Time, e.Total, e.Max = t.now, len(t.slots), t.MaxProcesses
	t.events.add(e)
}
