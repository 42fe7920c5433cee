package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iris/config"
	"iris/config/sys"
	"iris/pool"
)

// A team may be removed from the configuration while messages wait for it. They are held
// until the team is back or somebody cancels them.

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
	d.holdFor(k, toReturn(k.Team))
	select {
	case d.holds.teamGone <- struct{}{}:
	default:
	}
	d.o.Log.Warn("messages held: their team is not in the configuration", "team", k.Team, "session", k.Session)
}

// toReturn is what the messages of a team wait for that is not in the configuration.
func toReturn(team string) string {
	return fmt.Sprintf("team %q to be in the configuration again", team)
}

// lacksTeams reports whether a conversation is held because its team is not in the
// configuration.
func (d *Dispatcher) lacksTeams() bool {
	d.holds.mu.Lock()
	defer d.holds.mu.Unlock()
	return len(d.holds.teamless) > 0
}

// ReleaseTeams releases the conversations whose teams are back.
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
		d.Unhold(k)
	}
}

// AwaitTeams reads a changed configuration each second while messages wait for their team:
// no call of a client need come that would read it. It returns when ctx ends.
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
