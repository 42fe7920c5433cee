package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"iris/config"
	"iris/config/sys"
	"iris/pool"
)

// holds are the conversations that wait for a person.
type holds struct {
	mu       sync.Mutex        // held while a conversation is held or let go for what the journal or the configuration says
	teamless map[pool.Key]bool // those that are held for want of their team; mu protects it
	teamGone chan struct{}     // told when one is, has room for one
}

// A team may leave the configuration while messages wait for it. They are held, until the
// team is back or somebody cancels them.

// unknownTeam reports whether a team is not in the configuration.
func (d *Dispatcher) unknownTeam(team string) bool {
	_, err := d.team(team)
	_, unknown := errors.AsType[*config.UnknownTeamError](err)
	return unknown
}

// HoldTeamless holds a conversation whose team is not in the configuration.
func (d *Dispatcher) HoldTeamless(k pool.Key) {
	d.holds.mu.Lock()
	defer d.holds.mu.Unlock()
	if !d.unknownTeam(k.Team) { // it has just come back
		return
	}
	if d.holds.teamless == nil {
		d.holds.teamless = map[pool.Key]bool{}
	}
	d.holds.teamless[k] = true
	d.o.Pool.Hold(k)
	select {
	case d.holds.teamGone <- struct{}{}:
	default:
	}
	d.o.Log.Warn("messages held: their team is not in the configuration", "team", k.Team, "session", k.Session)
}

// lacksTeams reports whether a conversation is held for want of its team.
func (d *Dispatcher) lacksTeams() bool {
	d.holds.mu.Lock()
	defer d.holds.mu.Unlock()
	return len(d.holds.teamless) > 0
}

// ReleaseTeams lets the conversations go on whose teams are back.
func (d *Dispatcher) ReleaseTeams() {
	d.holds.mu.Lock()
	var back []pool.Key
	for k := range d.holds.teamless {
		if !d.unknownTeam(k.Team) {
			back = append(back, k)
			delete(d.holds.teamless, k)
		}
	}
	d.holds.mu.Unlock()
	for _, k := range back {
		d.unhold(k)
	}
}

// heldFor says why a message that is queued does not run, where its team is the cause.
func (d *Dispatcher) heldFor(team string) string {
	if !d.unknownTeam(team) {
		return ""
	}
	return fmt.Sprintf("held: team %q is not in the configuration; it runs when the team is back", team)
}

// AwaitTeams looks at the configuration each second while messages wait for their team to
// come back to it, since nobody need ask for anything then. It returns when ctx ends.
func (d *Dispatcher) AwaitTeams(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.holds.teamGone:
		}
		for d.lacksTeams() && sys.Sleep(ctx, time.Second) {
			d.o.Look()
		}
	}
}
