package delivery

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
)

// inflight is what the Dispatcher knows about queued and running messages, and the totals
// of ended turns.
type inflight struct {
	ids      ids
	keys     keyLocks
	live     live
	outputs  outputCache
	messages atomic.Int64
	costs    atomic.Int64 // millionths of a dollar
}

// live holds the queued and running messages.
type live struct {
	mu     sync.Mutex // protects the fields below, and the watchers of the messages
	byID   map[string]*delivery
	spools map[string]int // by process: how many messages may need its spool to be settled
}

func (l *live) add(m *delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID = map[string]*delivery{}
	}
	l.byID[m.new.ID] = m
}

// remove removes a message and tells its watchers.
func (l *live) remove(m *delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID[m.new.ID] == m {
		delete(l.byID, m.new.ID)
	}
	m.notifyWatchersLocked()
}

// notifyWatchers tells the watchers of a message that it is queued again.
func (l *live) notifyWatchers(m *delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.notifyWatchersLocked()
}

func (m *delivery) notifyWatchersLocked() {
	for c := range m.watchers {
		select {
		case c <- m.new.ID:
		default: // full: the channel buffers two of each message
		}
	}
}

// watch sends the id of a message to c when the message ends or is queued again. It
// returns nil if the message is not live.
func (l *live) watch(id string, c chan<- string) *delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.byID[id]
	if m == nil {
		return nil
	}
	if m.watchers == nil {
		m.watchers = map[chan<- string]bool{}
	}
	m.watchers[c] = true
	return m
}

func (l *live) unwatch(m *delivery, c chan<- string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(m.watchers, c)
}

// needsSpool reports whether a live message needs the spool of a process.
func (l *live) needsSpool(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spools[id] > 0
}

// addSpoolNeed adds n to the number of messages that need the spool of a process.
func (l *live) addSpoolNeed(process string, n int) {
	if process == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spools == nil {
		l.spools = map[string]int{}
	}
	if l.spools[process] += n; l.spools[process] <= 0 {
		delete(l.spools, process)
	}
}

// all returns the queued and running messages, in the order of their ids.
func (l *live) all() []*delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Collect(maps.Values(l.byID))
	slices.SortFunc(all, func(a, b *delivery) int { return strings.Compare(a.new.ID, b.new.ID) })
	return all
}

// of returns the queued and running messages of a conversation.
func (l *live) of(k pool.Key) (all []*delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.byID {
		if m.key() == k {
			all = append(all, m)
		}
	}
	return all
}

// get returns a queued or running message, nil if it is neither.
func (l *live) get(id string) *delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byID[id]
}

// keyLocks gives an idempotency key or an id to one sender at a time: of several equal
// messages the first is accepted, and the others find it.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]*keyLock
}

type keyLock struct {
	mu    sync.Mutex
	users int
}

// lock waits until the key is free. The caller calls unlock. The empty key is never
// locked.
func (k *keyLocks) lock(key string) (unlock func()) {
	if key == "" {
		return func() {}
	}
	k.mu.Lock()
	if k.held == nil {
		k.held = map[string]*keyLock{}
	}
	l := k.held[key]
	if l == nil {
		l = new(keyLock)
		k.held[key] = l
	}
	l.users++
	k.mu.Unlock()
	l.mu.Lock()
	return func() {
		l.mu.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.held, key)
		}
	}
}

// TurnWaits tells the sender of a message why the turn does not begin.
func (d *Dispatcher) TurnWaits(message, process, on string) {
	if m := d.inflight.live.get(message); m != nil {
		m.notify(ipc.MessageState{ID: m.new.ID, State: string(journal.Running), Process: process, WaitsFor: on})
	}
}
