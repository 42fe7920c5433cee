package delivery

import (
	"errors"
	"fmt"
	"sync"

	"iris/daemon/conversation"
	"iris/daemon/journal"
	"iris/pool"
)

// holds knows which conversations wait for a person.
type holds struct {
	mu       sync.Mutex        // held while a conversation is held or released
	teamless map[pool.Key]bool // held because the team is not in the configuration; protected by mu
	teamGone chan struct{}     // gets a value when teamless grows; buffers one
}

// holdFor holds a conversation, and tells the senders of its messages what they wait for.
func (d *Dispatcher) holdFor(k pool.Key, reason string) {
	d.o.Pool.Hold(k, reason)
	for _, m := range d.inflight.live.of(k) {
		m.tellHeld()
	}
}

// tellHeld tells the waiting calls that the message is held, unless it is not. A message
// that is not on disk yet has its sender told with the id.
func (m *delivery) tellHeld() {
	select {
	case <-m.recorded:
	default:
		return
	}
	if st := m.d.queuedState(m.new.ID); st.WaitsFor != "" {
		m.notify(st)
		m.d.inflight.live.notifyWatchers(m)
	}
}

// heldFor says, for a list, what waitsFor says.
func (d *Dispatcher) heldFor(id string) string {
	if g, limited := d.o.Pool.Limited(id); limited {
		return g.String()
	}
	if reason := d.o.Pool.Held(id); reason != "" {
		return "held: it waits for " + reason
	}
	if on, _ := d.waitsFor(id); on != "" {
		return "waits for " + on
	}
	return ""
}

// holdUnknown holds the conversation of an unknown message until somebody resolves the
// message, which may have happened already. A conversation for a single message needs no
// hold.
func (d *Dispatcher) holdUnknown(m *delivery) {
	d.holds.mu.Lock()
	defer d.holds.mu.Unlock()
	now, err := d.o.Store.Message(m.new.ID)
	if !conversation.IsFresh(m.key()) && (err != nil || now.State == journal.Unknown) {
		d.holdFor(m.key(), fmt.Sprintf("somebody to resolve message %s", m.new.ID))
	}
}

// Unhold releases a conversation, unless another unknown message holds it or its team is
// not in the configuration.
func (d *Dispatcher) Unhold(k pool.Key) {
	d.holds.mu.Lock()
	defer d.holds.mu.Unlock()
	if d.holds.teamless[k] {
		return
	}
	for m, err := range d.o.Store.Unresolved() {
		if damage, ok := errors.AsType[*journal.DamageError](err); err != nil && (!ok || damage.ID == "") {
			d.o.Log.Error("conversation stays held", "team", k.Team, "session", k.Session, "err", d.o.Store.Heed(err))
			return
		}
		if err == nil && m.Holds() && conversation.Of(&m) == k {
			return
		}
	}
	d.o.Pool.Unhold(k)
}
