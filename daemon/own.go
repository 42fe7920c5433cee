package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// ownWork is what the daemon knows of turns that nobody has sent.
type ownWork struct {
	turns atomic.Int64
	costs atomic.Int64 // millionths of a dollar

	mu    sync.Mutex
	early map[string]string // what adopted agents work on, until the pool knows them; nil then

	recording sync.Mutex
	waiting   []journal.Own // not on record yet
}

// maxOwnWaiting bounds what is kept of own turns while the disk is full.
const maxOwnWaiting = 10_000

// adopting has works wait for the pool.
func (o *ownWork) adopting() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.early = map[string]string{}
}

// adopted has the pool restored, and tells it what its agents have said meanwhile.
func (o *ownWork) adopted(restore func(), works func(process, on string)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	restore()
	for id, on := range o.early {
		works(id, on)
	}
	o.early = nil
}

// works is told what an agent does between two turns of ours, and with an empty
// word that this is over.
func (d *Daemon) works(process, on string) {
	d.agents.own.mu.Lock()
	defer d.agents.own.mu.Unlock()
	if d.agents.own.early != nil {
		d.agents.own.early[process] = on
		return
	}
	d.pool.Works(process, on)
}

// ownTurn is told of a turn that nobody has sent, at its end.
func (d *Daemon) ownTurn(k pool.Key, process string, t *claude.OwnTurn) {
	origin := ipc.Clip(cmp.Or(t.Origin, "unnamed"), 64)
	outcome := ""
	if t.Err != "" {
		outcome = "failed, "
	}
	d.agents.own.turns.Add(1)
	d.agents.own.costs.Add(int64(t.CostUSD*1e6 + 0.5))
	d.pool.OwnTurn(process, fmt.Sprintf("%s: %s$%.4f", origin, outcome, t.CostUSD))
	d.recordOwn(journal.Own{
		At: t.At, Team: k.Team, Session: k.Session, Process: process, Origin: origin, Model: t.Model,
		CostUSD: t.CostUSD, Usage: t.Usage,
	})
}

// recordOwn records turns that nobody has sent, and those that an earlier call could
// not: what there is no room for waits for the next one.
func (d *Daemon) recordOwn(more ...journal.Own) {
	o := &d.agents.own
	o.recording.Lock()
	defer o.recording.Unlock()
	o.waiting = append(o.waiting, more...)
	for len(o.waiting) > 0 {
		err := d.store.Heed(d.store.RecordOwn(o.waiting[0]))
		if s, ok := errors.AsType[*journal.StoppedError](err); ok && s.Full && len(o.waiting) < maxOwnWaiting {
			return
		}
		if err != nil {
			d.log.Error("turn not recorded", "team", o.waiting[0].Team, "origin", o.waiting[0].Origin, "err", err)
		}
		o.waiting = slices.Delete(o.waiting, 0, 1)
	}
}
