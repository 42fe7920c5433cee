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
	mu       sync.Mutex          // held while a conversation is held or released
	attached map[pool.Key]string // held while a person has it in a terminal, and the reason; protected by mu
	teamless map[pool.Key]bool   // held because the team is not in the configuration; protected by mu
	teamGone chan struct{}       // gets a value when teamless grows; buffers one
}

// HoldAttached holds a conversation that a person has in a terminal, until ReleaseAttached.
func (d *Dispatcher) HoldAttached(k pool.Key, reason string) {
	d.holds.mu.Lock()
	defer d.holds.mu.Unlock()
	if d.holds.attached == nil {
		d.holds.attached = map[pool.Key]string{}
	}
	d.holds.attached[k] = reason
	d.holdFor(k, reason)
}

// ReleaseAttached ends HoldAttached.
func (d *Dispatcher) ReleaseAttached(k pool.Key) {
	d.holds.mu.Lock()
	delete(d.holds.attached, k)
	d.holds.mu.Unlock()
	d.Unhold(k)
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
		d.holdFor(m.key(), toResolve(m.new.ID))
	}
}

// toResolve is what the messages behind an unknown one wait for.
func toResolve(id string) string { return fmt.Sprintf("somebody to resolve message %s", id) }

// Unhold releases a conversation, unless a person has it in a terminal, its team is not in
// the configuration, or another unknown message holds it.
func (d *Dispatcher) Unhold(k pool.Key) {
	d.holds.mu.Lock()
	defer d.holds.mu.Unlock()
	switch reason := d.holds.attached[k]; {
	case reason != "":
		d.holdFor(k, reason)
		return
	case d.holds.teamless[k]:
		d.holdFor(k, toReturn(k.Team))
		return
	}
	for m, err := range d.o.Store.Unresolved() {
		if damage, ok := errors.AsType[*journal.DamageError](err); err != nil && (!ok || damage.ID == "") {
			d.o.Log.Error("conversation stays held", "team", k.Team, "session", k.Session, "err", d.o.Store.Heed(err))
			return
		}
		if err == nil && m.Holds() && conversation.Of(&m) == k {
			d.holdFor(k, toResolve(m.ID))
			return
		}
	}
	d.o.Pool.Unhold(k)
}
