package delivery

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
)

// usageKey names the team, the conversation or the time of a sum.
type usageKey struct {
	team, session string
	slot          int64 // Unix seconds
}

// SumUsage answers usage.sum, from the sums that the journal keeps.
func (d *Dispatcher) SumUsage(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.UsageQuery
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	f, err := d.filter(&ipc.MessageQuery{Team: p.Team, Session: p.Session, Since: p.Since})
	if err != nil {
		return nil, err
	}
	d.o.Agents.RecordOwn() // turns that waited for space on the disk
	of, ok := usageKeys[p.By]
	if !ok {
		return nil, fault.BadOption("by is %q: it must be team, session or day", p.By)
	}
	u := usageSums{by: p.By, of: of, sums: map[usageKey]*ipc.UsageSum{}}
	sums := d.o.Store.Days
	if p.By == "day" { // of every time zone
		sums = d.o.Store.Slots
	}
	for s, err := range sums(f) {
		if ok, err := d.checkRecord(ctx, err, &u.reply.Damaged); err != nil {
			return nil, err
		} else if ok {
			u.add(&s)
		}
	}
	return u.answer(), nil
}

// checkRecord reports whether a record of a list could be read. A damaged one is added to
// damaged. An error, also that the caller has gone, ends the call.
func (d *Dispatcher) checkRecord(ctx context.Context, err error, damaged *[]string) (bool, error) {
	if damage, ok := errors.AsType[*journal.DamageError](err); ok {
		*damaged = append(*damaged, damage.Error())
		return false, nil
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return false, fault.New(ipc.CodeFailed, "journal", d.o.Store.Heed(err))
	}
	return true, nil
}

// usageSums are the sums so far.
type usageSums struct {
	by    string
	of    func(*journal.Sum) usageKey
	sums  map[usageKey]*ipc.UsageSum
	reply ipc.UsageSums
}

func (u *usageSums) add(s *journal.Sum) {
	key := u.of(s)
	sum := u.sums[key]
	if sum == nil {
		sum = key.sum(u.by)
		u.sums[key] = sum
	}
	sum.Add(&ipc.UsageSum{
		Messages: s.Messages, CostUSD: s.CostUSD, Usage: ipc.Usage(s.Usage),
		Own: ipc.OwnSum{Turns: s.Own.Turns, CostUSD: s.Own.CostUSD, Usage: ipc.Usage(s.Own.Usage)},
	})
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

// usageKeys has functions that return the key under which a sum of the journal counts.
var usageKeys = map[string]func(s *journal.Sum) usageKey{
	"team":    func(s *journal.Sum) usageKey { return usageKey{team: s.Team} },
	"session": func(s *journal.Sum) usageKey { return usageKey{team: s.Team, session: s.Session} },
	"day":     func(s *journal.Sum) usageKey { return usageKey{slot: s.From.Unix()} },
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

// bySubject orders the sums of one answer, which are all of teams, of conversations or of
// times.
func bySubject(a, b ipc.UsageSum) int {
	if a.From != nil {
		return a.From.Compare(*b.From)
	}
	if a.Session != nil {
		return cmp.Or(cmp.Compare(a.Team, b.Team), cmp.Compare(*a.Session, *b.Session))
	}
	return cmp.Compare(a.Team, b.Team)
}
