package agents

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"iris/config"
	"iris/daemon/conversation"
	"iris/daemon/store"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/procs"
)

// Options say what a Supervisor needs of the daemon. No field but Adopted and the totals
// may be left out.
type Options struct {
	Paths         config.Paths
	Program       string                // the path of iris itself, for the built-in agent
	Prefix        string                // of the ids of this daemon's processes
	FromShell     bool                  // the agents' base environment is that of the login shell
	Config        func() *config.Config // as it was read last
	Look          func()                // reads the configuration again if it has changed
	Store         *store.Store
	Conversations *conversation.Registry
	Log           *slog.Logger

	// Of the program before this one.
	Adopted            []int // pids of agents that are children of this process
	OwnTurns, OwnCosts int64 // see OwnTotals

	// The daemon's lifetime.
	Goroutines   *sync.WaitGroup // waits for those of the Supervisor
	Opened       <-chan struct{} // closed when the daemon is up
	Serving      context.Context // ends when the daemon does
	HasSuccessor func() bool     // reports whether another daemon follows at once

	// Of approvals.
	Asked     func(k pool.Key, process string, p *claude.Process, r claude.Request) // takes in a tool call that waits for permission
	Withdrawn func(process, request string)                                         // is told that it does not wait any more
	Approvals func(process string) []ipc.Approval                                   // lists what a process waits for

	// Of messages.
	Waits      func(message, process, on string) // is told why the turn of a message does not begin
	Teamless   func(pool.Key)                    // holds a conversation whose team is not in the configuration
	NeedsSpool func(process string) bool         // reports whether a message may have to be settled from a spool
	FreeSpace  func()                            // gives up room on the disk that nobody needs
}

// A Supervisor starts the agents that the pool wants, adopts those that are handed over,
// and watches those that earlier daemons have left. Its methods may be called from any
// goroutine.
type Supervisor struct {
	Pool     *pool.Pool[*claude.Process] // set before anything but Close is called
	Env      *Environment
	Reaper   *procs.Reaper
	Follower *claude.Follower

	o       Options
	own     ownWork
	orphans []Orphan          // of earlier daemons; not changed after start
	adopted map[string]string // processes that the program before this one has handed over, and the message that each runs
}

// New returns a Supervisor without its pool, which its owner closes. It asks the login
// shell in the background where that is wanted.
func New(o Options) (*Supervisor, error) {
	s := &Supervisor{o: o, adopted: map[string]string{}}
	s.own.turns.Store(o.OwnTurns)
	s.own.costs.Store(o.OwnCosts)
	var err error
	if s.Reaper, err = procs.NewReaper(o.Adopted...); err != nil {
		return nil, err
	}
	if s.Follower, err = claude.NewFollower(); err != nil {
		s.Reaper.Close()
		return nil, fmt.Errorf("follow the agents' output: %w", err)
	}
	s.Env = newEnvironment(o.FromShell, s.Reaper, o.Goroutines)
	return s, nil
}

// Close ends what drives the agents. It is called after the pool is closed and the
// goroutines have ended.
func (s *Supervisor) Close() {
	s.Follower.Close()
	s.Reaper.Close()
}

// Info is an agent, and what the pool knows of it.
type Info = pool.Process[*claude.Process]

// Live lists the processes that have started, those of earlier daemons left out.
func (s *Supervisor) Live() []Info {
	return slices.DeleteFunc(s.Pool.Snapshot().Processes, func(p Info) bool { return p.Agent == nil })
}

// team returns a team by its name, or by its absolute directory.
func (s *Supervisor) team(name string) (*config.Team, error) { return s.o.Config().Lookup(name) }

// key is conversation.KeyOf by the configuration as it is now.
func (s *Supervisor) key(team, session string) (pool.Key, error) {
	return conversation.KeyOf(s.o.Config(), team, session)
}
