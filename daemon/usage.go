package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
)

// usageSlot is the shortest time that a day of every time zone is made of.
const usageSlot = 15 * time.Minute

// usageKey is what a sum is of.
type usageKey struct {
	team, session string
	slot          int64 // Unix seconds
}

// sumUsage answers usage.sum in one pass over the journal. It keeps the sums
// only: as many as there are teams, conversations, or quarters of an hour.
func (d *Daemon) sumUsage(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.UsageQuery
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	f, err := d.filter(&ipc.List{Team: p.Team, Session: p.Session, Since: p.Since})
	if err != nil {
		return nil, err
	}
	f.Limit = 0
	of, ok := usageKeys[p.By]
	if !ok {
		return nil, coded(ipc.CodeUsage, "bad-option", fmt.Errorf("by is %q: it must be team, session or day", p.By))
	}
	sums := map[usageKey]*ipc.UsageSum{}
	reply := ipc.UsageSums{Sums: []ipc.UsageSum{}}
	for s, err := range d.journal.Spending(f) {
		if damage, ok := errors.AsType[*journal.DamageError](err); ok && damage.ID != "" {
			reply.Damaged = append(reply.Damaged, damage.Error())
			continue
		}
		if errors.Is(err, journal.ErrNotFound) { // pruned at this moment
			continue
		}
		if err != nil {
			return nil, coded(ipc.CodeFailed, "journal", d.journalError(err))
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		key := of(&s)
		sum := sums[key]
		if sum == nil {
			sum = key.sum(p.By)
			sums[key] = sum
		}
		sum.Add(&ipc.UsageSum{Messages: 1, CostUSD: s.CostUSD, Usage: wireUsage(s.Usage)})
	}
	for _, sum := range sums {
		sum.CostUSD = ipc.Cost(sum.CostUSD)
		reply.Sums = append(reply.Sums, *sum)
	}
	slices.SortFunc(reply.Sums, bySubject)
	return reply, nil
}

// usageKeys say what a message counts for.
var usageKeys = map[string]func(s *journal.Spent) usageKey{
	"team": func(s *journal.Spent) usageKey { return usageKey{team: s.Team} },
	"session": func(s *journal.Spent) usageKey {
		if isFresh(conversationOf(&journal.Message{Team: s.Team, Session: s.Session})) {
			return usageKey{team: s.Team, session: freshPrefix}
		}
		return usageKey{team: s.Team, session: s.Session}
	},
	"day": func(s *journal.Spent) usageKey {
		return usageKey{slot: s.Accepted.Truncate(usageSlot).Unix()}
	},
}

// sum is an empty sum for what the key names.
func (k usageKey) sum(by string) *ipc.UsageSum {
	s := &ipc.UsageSum{Team: k.team}
	switch by {
	case "session":
		s.Session = &k.session
	case "day":
		from := time.Unix(k.slot, 0).UTC()
		s.From = &from
	}
	return s
}

func bySubject(a, b ipc.UsageSum) int {
	if a.From != nil && b.From != nil {
		return a.From.Compare(*b.From)
	}
	if a.Session != nil && b.Session != nil {
		return cmp.Or(cmp.Compare(a.Team, b.Team), cmp.Compare(*a.Session, *b.Session))
	}
	return cmp.Compare(a.Team, b.Team)
}

func wireUsage(u journal.Usage) ipc.Usage {
	return ipc.Usage{Input: u.Input, Output: u.Output, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite}
}
