package daemon

import (
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// takeLock claims the state directory, or goes on with the claim of the program
// before this one.
func (d *Daemon) takeLock() (*lock, error) {
	if h := d.opts.Handover; h != nil {
		if l := inherit(h.Lock, d.opts.Paths.Lock); l != nil {
			return l, nil
		}
	}
	return acquire(d.opts.Paths.Lock)
}

// openListener makes the socket, or goes on with that of the service manager or of
// the program before this one, in which clients may wait.
func (d *Daemon) openListener() (*ipc.Listener, error) {
	if h := d.opts.Handover; h != nil && h.Socket.Path == d.opts.Paths.Socket {
		l, err := ipc.TakeOver(h.Socket)
		if err == nil {
			return l, nil
		}
		d.log.Error("socket not taken over", "err", err)
	}
	if d.opts.Service.lent != 0 {
		return d.opts.Service.inherit(d.opts.Paths.Socket)
	}
	return ipc.Listen(d.opts.Paths.Socket)
}

// takeUp adopts the agents that the image before this one has handed over. One
// that is not as the journal says is left to itself: its input ends, and it is
// taken for one of an earlier daemon.
func (d *Daemon) takeUp() error {
	h := d.opts.Handover
	if h == nil {
		return nil
	}
	running, err := d.runningTurns()
	if err != nil {
		return err
	}
	d.agents.AwaitPool()
	live := map[string]pool.Adopted[*claude.Process]{}
	for i := range h.Pool.Agents {
		a := &h.Pool.Agents[i]
		if h.agent(a.ID) == nil {
			continue
		}
		if adopted, ok := d.adopt(a, *h.agent(a.ID), running[a.ID]); ok {
			live[a.ID] = adopted
		}
	}
	d.agents.Restore(&h.Pool, live)
	return nil
}

// runningTurns returns the messages that are running, by the process that has
// them.
func (d *Daemon) runningTurns() (map[string]*delivery, error) {
	running := map[string]*delivery{}
	for msg, err := range d.store.Running() {
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

// adopt takes over one agent, and the turn that it is in.
func (d *Daemon) adopt(a *pool.HandoffAgent, h claude.Handed, m *delivery) (live pool.Adopted[*claude.Process], ok bool) {
	turn := ""
	if m != nil {
		turn = m.new.ID
	}
	p := d.agents.Adopt(a, h, turn)
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
