package delivery

import (
	"context"
	"log/slog"

	"iris/config"
	"iris/daemon/agents"
	"iris/daemon/approval"
	"iris/daemon/conversation"
	"iris/daemon/store"
	"iris/pool"
	"iris/pool/claude"
)

// Options say what a Dispatcher needs of the daemon. No field but the totals may be left
// out.
type Options struct {
	Paths         config.Paths
	Boot          string                // of the machine
	Config        func() *config.Config // as it was read last
	Look          func()                // reads the configuration again if it has changed
	Tidy          func()                // is told after a large text, whose memory can be given back
	Store         *store.Store
	Conversations *conversation.Registry
	Approvals     *approval.Registry
	Agents        *agents.Supervisor
	Pool          *pool.Pool[*claude.Process]
	Log           *slog.Logger

	Messages, Costs int64 // of the program before this one; see Totals

	// The daemon's lifetime.
	Opened       <-chan struct{} // closed when the daemon is up
	Serving      context.Context // ends when the daemon does
	TurnsLeft    <-chan struct{} // closed when running turns have been left to their agents
	HasSuccessor func() bool     // reports whether another daemon follows at once
}

// A Dispatcher takes messages in, hands them to the agents, and records how they end. Its
// methods may be called from any goroutine, Recover before all others.
type Dispatcher struct {
	o        Options
	inflight inflight
	holds    holds
}

// New returns a Dispatcher without messages.
func New(o Options) *Dispatcher {
	d := &Dispatcher{o: o, holds: holds{teamGone: make(chan struct{}, 1)}}
	d.inflight.messages.Store(o.Messages)
	d.inflight.costs.Store(o.Costs)
	return d
}

// Totals returns how many turns have ended by the word of their agent, and what they have
// cost in millionths of a dollar.
func (d *Dispatcher) Totals() (messages, costs int64) {
	return d.inflight.messages.Load(), d.inflight.costs.Load()
}

// IsLive reports whether a message is queued or running.
func (d *Dispatcher) IsLive(id string) bool { return d.inflight.live.get(id) != nil }

// NeedsSpool reports whether a message may have to be settled from the spool of a process.
func (d *Dispatcher) NeedsSpool(process string) bool { return d.inflight.live.needsSpool(process) }

// DropOutputs gives up the output that is kept for readers who may come back.
func (d *Dispatcher) DropOutputs() { d.inflight.outputs.close() }

// team returns a team by its name, or by its absolute directory.
func (d *Dispatcher) team(name string) (*config.Team, error) { return d.o.Config().Lookup(name) }

// key is conversation.KeyOf by the configuration as it is now.
func (d *Dispatcher) key(team, session string) (pool.Key, error) {
	return conversation.KeyOf(d.o.Config(), team, session)
}
