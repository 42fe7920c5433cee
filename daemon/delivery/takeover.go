package delivery

import (
	"cmp"

	"iris/daemon/journal"
	"iris/pool"
	"iris/pool/claude"
)

// takeUp adopts the agents of the program before this one. If the state of an agent does
// not agree with the journal, its input is closed, and it becomes an orphan. ended are the
// messages that have just ended.
func (d *Dispatcher) takeUp(h *pool.Handoff, handed func(process string) *claude.Handed, ended []journal.Message) error {
	if h == nil {
		return nil
	}
	running, err := d.runningTurns()
	if err != nil {
		return err
	}
	last := d.lastEnded(ended)
	d.o.Agents.AwaitPool()
	live := map[string]pool.Adopted[*claude.Process]{}
	for i := range h.Agents {
		a := &h.Agents[i]
		state := handed(a.ID)
		if state == nil {
			continue
		}
		if adopted, ok := d.adopt(a, *state, running[a.ID], last[a.ID]); ok {
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
			running[msg.Last().Process] = d.restored(&msg)
		}
	}
	return running, nil
}

// lastEnded returns by process the message that ended there last.
func (d *Dispatcher) lastEnded(ended []journal.Message) map[string]*delivery {
	all := map[string]*delivery{}
	for i := range ended {
		m, process := d.restored(&ended[i]), ended[i].Last().Process
		if last := all[process]; last == nil || last.offset < m.offset {
			all[process] = m
		}
	}
	return all
}

// adopt takes over an agent and its running message m, and keeps the output of m, or else
// of ended, which has just ended in the agent. Both may be nil.
func (d *Dispatcher) adopt(a *pool.HandoffAgent, h claude.Handed, m, ended *delivery) (live pool.Adopted[*claude.Process], ok bool) {
	turn := ""
	if m != nil {
		turn = m.new.ID
	}
	p := d.o.Agents.Adopt(a, h, turn, func(p *claude.Process) {
		if of := cmp.Or(m, ended); of != nil {
			of.keepOutput(p.Stream(of.offset, of.uuid, 0))
		}
	})
	if p == nil {
		return live, false
	}
	live.Agent = p
	if m != nil {
		d.inflight.live.add(m)
		live.Turn, live.Run = m.turn(pool.Turn{AcceptedSeq: m.order}), m.run
	}
	return live, true
}
