package agents

import (
	"os"

	"iris/pool"
	"iris/pool/claude"
)

// AwaitPool has what adopted agents say of their own work wait for Restore.
func (s *Supervisor) AwaitPool() { s.own.adopting() }

// Adopt takes over an agent that the program before this one has handed over, and that
// runs the message turn by the journal, empty for none. It returns nil for one that is
// not as the journal says: that one is left to itself, its input ends, and it is taken
// for one of an earlier daemon.
func (s *Supervisor) Adopt(a *pool.HandoffAgent, h claude.Handed, turn string) *claude.Process {
	stdin := os.NewFile(uintptr(h.Stdin), "stdin of "+h.Process)
	if a.Turn != turn || h.InTurn != (turn != "") {
		s.o.Log.Warn("agent not taken over", "process", h.Process, "pid", h.PID, "turn", a.Turn, "journal", turn)
		stdin.Close()
		s.Reaper.Disown(h.PID)
		return nil
	}
	p, err := claude.Adopt(s.adoptOptions(a.Key, h), h, stdin)
	if err != nil {
		s.o.Log.Warn("agent not taken over", "err", err)
		return nil
	}
	s.adopted[h.Process] = turn
	return p
}

// adoptOptions are those of an agent that need not be started.
func (s *Supervisor) adoptOptions(k pool.Key, h claude.Handed) claude.Options {
	o := s.baseOptions(k, h.Process, h.Dir)
	o.SessionID = h.Session
	return o
}

// Restore has the pool go on with the adopted agents.
func (s *Supervisor) Restore(h *pool.Handoff, live map[string]pool.Adopted[*claude.Process]) {
	s.own.adopted(func() { s.Pool.Restore(h, live) }, s.Pool.Works)
}

// HasTurn reports whether a process was adopted while it ran that message.
func (s *Supervisor) HasTurn(process, message string) bool {
	turn, ok := s.adopted[process]
	return ok && turn == message
}

// HasAdopted reports whether any process was adopted.
func (s *Supervisor) HasAdopted() bool { return len(s.adopted) > 0 }
