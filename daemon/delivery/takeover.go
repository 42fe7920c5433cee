package delivery

import (
	"iris/pool"
	"iris/pool/claude"
)

// takeUp adopts the agents of the program before this one. If the state of an agent does
// not agree with the journal, its input is closed, and it becomes an orphan.
func (d *Dispatcher) takeUp(h *pool.Handoff, handed func(process string) *claude.Handed) error {
	if h == nil {
		return nil
	}
	running, err := d.runningTurns()
	if err != nil {
		return err
	}
	d.o.Agents.AwaitPool()
	live := map[string]pool.Adopted[*claude.Process]{}
	for i := range h.Agents {
		a := &h.Agents[i]
		state := handed(a.ID)
		if state == nil {
			continue
		}
		if adopted, ok := d.adopt(a, *state, running[a.ID]); ok {
			live[a.ID] = adopted
		}
	}
	d.o.Agents.Restore(h, live)
	return nil
}

// runningTurns returns the running messages by process.
func (d *Dispatcher) runningTurns() (map[string]*delivery, error) {
	running := map[string]*delivery{}
	for msg, err := range d.o.Store.Running() {
		if ok, err := d.readable(err); err != nil {
			return nil, err
		} else if ok {
			m := d.restored(&msg)
			m.offset, m.uuid = msg.Last().Offset, msg.Last().UUID
			running[msg.Last().Process] = m
		}
	}
	return running, nil
}

// adopt takes over an agent and its running turn.
func (d *Dispatcher) adopt(a *pool.HandoffAgent, h claude.Handed, m *delivery) (live pool.Adopted[*claude.Process], ok bool) {
	turn := ""
	if m != nil {
		turn = m.new.ID
	}
	p := d.o.Agents.Adopt(a, h, turn)
	if p == nil {
		return live, false
	}
	live.Agent = p
	if m != nil {
		m.running = true
		d.inflight.live.add(m)
		live.Turn, live.Run = m.turn(pool.Turn{AcceptedSeq: m.order}), m.run
		m.keepOutput(p.Stream(m.offset, m.uuid, 0))
	}
	return live, true
}
