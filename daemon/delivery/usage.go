package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"iris/daemon/conversation"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
)

// usageSlot divides the days of every time zone.
const usageSlot = 15 * time.Minute

// usageKey names the team, the conversation or the time of a sum.
type usageKey struct {
	team, session string
	slot          int64 // Unix seconds
}

// SumUsage answers usage.sum. It reads all messages once, and all turns that nobody sent.
// It keeps only the sums: one for each team, conversation or quarter of an hour.
func (d *Dispatcher) SumUsage(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.UsageQuery
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	f, err := d.filter(&ipc.MessageQuery{Team: p.Team, Session: p.Session, Since: p.Since})
	if err != nil {
		return nil, err
	}
	f.Limit = 0
	d.o.Agents.RecordOwn() // turns that waited for space on the disk
	of, ok := usageKeys[p.By]
	if !ok {
		return nil, fault.New(ipc.CodeUsage, "bad-option", fmt.Errorf("by is %q: it must be team, session or day", p.By))
	}
	u := usageSums{by: p.By, of: of, sums: map[usageKey]*ipc.UsageSum{}}
	for s, err := range d.o.Store.Spending(f) {
		if damage, ok := errors.AsType[*journal.DamageError](err); ok && damage.ID != "" {
			u.reply.Damaged = append(u.reply.Damaged, damage.Error())
			continue
		}
		if errors.Is(err, journal.ErrNotFound) { // pruned at this moment
			continue
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return nil, d.notSummed(ctx, err)
		}
		u.add(&s, &ipc.UsageSum{Messages: 1, CostUSD: s.CostUSD, Usage: ipc.Usage(s.Usage)})
	}
	for o, err := range d.o.Store.Owns(f) {
		if damage, ok := errors.AsType[*journal.DamageError](err); ok {
			u.reply.Damaged = append(u.reply.Damaged, damage.Error())
			continue
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return nil, d.notSummed(ctx, err)
		}
		s := journal.Spent{Team: o.Team, Session: o.Session, Accepted: o.At}
		u.add(&s, &ipc.UsageSum{Own: ipc.OwnSum{Turns: 1, CostUSD: o.CostUSD, Usage: ipc.Usage(o.Usage)}})
	}
	return u.answer(), nil
}

func (d *Dispatcher) notSummed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fault.New(ipc.CodeFailed, "journal", d.o.Store.Heed(err))
}

// usageSums are the sums so far.
type usageSums struct {
	by    string
	of    func(*journal.Spent) usageKey
	sums  map[usageKey]*ipc.UsageSum
	reply ipc.UsageSums
}

func (u *usageSums) add(s *journal.Spent, more *ipc.UsageSum) {
	key := u.of(s)
	sum := u.sums[key]
	if sum == nil {
		sum = key.sum(u.by)
		u.sums[key] = sum
	}
	sum.Add(more)
}

func (u *usageSums) answer() ipc.UsageSums {
	u.reply.Sums = []ipc.UsageSum{}
	for _, sum := range u.sums {
		sum.CostUSD, sum.Own.CostUSD = ipc.Cost(sum.CostUSD), ipc.Cost(sum.Own.CostUSD)
		u.reply.Sums = append(u.reply.Sums, *sum)
	}
	slices.SortFunc(u.reply.Sums, bySubject)
	return u.reply
}

// usageKeys has functions that return the key of a message's sum. A turn that nobody sent counts as a
// message accepted at its end.
var usageKeys = map[string]func(s *journal.Spent) usageKey{
	"team": func(s *journal.Spent) usageKey { return usageKey{team: s.Team} },
	"session": func(s *journal.Spent) usageKey {
		if conversation.IsFresh(conversation.Of(&journal.Message{Team: s.Team, Session: s.Session})) {
			return usageKey{team: s.Team, session: conversation.FreshPrefix}
		}
		return usageKey{team: s.Team, session: s.Session}
	},
	"day": func(s *journal.Spent) usageKey {
		return usageKey{slot: s.Accepted.Truncate(usageSlot).Unix()}
	},
}

// sum returns an empty sum for the key.
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
