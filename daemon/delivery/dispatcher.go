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

// Options is what a Dispatcher needs from the daemon. Only the totals may be zero.
type Options struct {
	Paths         config.Paths
	Boot          string                // boot id of the machine
	Config        func() *config.Config // the current configuration
	Look          func()                // reads the configuration again if it has changed
	Tidy          func()                // called after a large text, whose memory can be given back
	Store         *store.Store
	Conversations *conversation.Registry
	Approvals     *approval.Registry
	Agents        *agents.Supervisor
	Pool          *pool.Pool[*claude.Process]
	Log           *slog.Logger
	Attachments   func() error // holds the conversations that persons have in terminals since earlier daemons

	Messages, Costs int64 // totals of the program before this one; see Totals

	// The daemon's lifetime.
	Opened       <-chan struct{} // closed when the daemon is up
	Serving      context.Context // ends when the daemon does
	TurnsLeft    <-chan struct{} // closed when the running turns are left to their agents
	HasSuccessor func() bool     // reports whether another daemon follows at once
}

// A Dispatcher accepts messages, gives them to agents, and records how they end. Any
// goroutine may call its methods; Recover comes first.
type Dispatcher struct {
	o        Options
	inflight inflight
	holds    holds
	gates    gates
}

// New returns a Dispatcher without messages.
func New(o Options) *Dispatcher {
	d := &Dispatcher{o: o, holds: holds{teamGone: make(chan struct{}, 1)}}
	d.inflight.messages.Store(o.Messages)
	d.inflight.costs.Store(o.Costs)
	return d
}

// Totals returns the number of turns that ended with a result of the agent, and their cost
// in millionths of a dollar.
func (d *Dispatcher) Totals() (messages, costs int64) {
	return d.inflight.messages.Load(), d.inflight.costs.Load()
}

// IsLive reports whether a message is queued or running.
func (d *Dispatcher) IsLive(id string) bool { return d.inflight.live.get(id) != nil }

// NeedsSpool reports whether the spool of a process may be needed to settle a message.
func (d *Dispatcher) NeedsSpool(process string) bool { return d.inflight.live.needsSpool(process) }

// DropOutputs drops the output that is kept for clients that may reconnect.
func (d *Dispatcher) DropOutputs() { d.inflight.outputs.close() }

// team returns a team by its name, or by its absolute directory.
func (d *Dispatcher) team(name string) (*config.Team, error) { return d.o.Config().Lookup(name) }

// key is conversation.KeyOf with the current configuration.
func (d *Dispatcher) key(team, session string) (pool.Key, error) {
	return conversation.KeyOf(d.o.Config(), team, session)
}
