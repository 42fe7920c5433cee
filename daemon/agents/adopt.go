package agents

import (
	"os"

	"iris/pool"
	"iris/pool/claude"
)

// AwaitPool keeps the reports of adopted agents about their own work until Restore.
func (s *Supervisor) AwaitPool() { s.own.adopting() }

// Adopt takes over an agent of the program before this one. turn is the message that it
// runs according to the journal, empty for none. If the agent does not agree, Adopt closes
// its input and returns nil: the agent becomes an orphan. before may open streams of it.
func (s *Supervisor) Adopt(a *pool.HandoffAgent, h claude.Handed, turn string, before func(*claude.Process)) *claude.Process {
	stdin := os.NewFile(uintptr(h.Stdin), "stdin of "+h.Process)
	if a.Turn != turn || h.InTurn != (turn != "") {
		s.o.Log.Warn("agent not taken over", "process", h.Process, "pid", h.PID, "turn", a.Turn, "journal", turn)
		stdin.Close()
		s.Reaper.Disown(h.PID)
		return nil
	}
	p, err := claude.Adopt(s.adoptOptions(a.Key, h), h, stdin, before)
	if err != nil {
		s.o.Log.Warn("agent not taken over", "err", err)
		return nil
	}
	s.adopted[h.Process] = turn
	s.noteRan(TeamSettings(s.o.Config(), a.Key.Team))
	return p
}

// adoptOptions returns the options of an agent that runs already.
func (s *Supervisor) adoptOptions(k pool.Key, h claude.Handed) claude.Options {
	o := s.baseOptions(k, h.Process, h.Dir)
	o.SessionID = h.Session
	return o
}

// Restore restores the pool with the adopted agents.
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
