package delivery

import (
	"cmp"
	"context"
	"slices"
	"time"

	"iris/daemon/agents"
	"iris/daemon/conversation"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/turn"
)

// whySpan is how far back the answer about a team looks.
const whySpan = 7 * 24 * time.Hour

// life is the life of an agent, and what its first and last turn of a message took.
type life struct {
	id             string
	key            pool.Key
	started, ready time.Time // ready is zero while it starts
	first, last    turnTaken
}

// turnTaken is what a turn of a message took; zero for none.
type turnTaken struct {
	message string
	at      time.Time
	usage   turn.Usage
	costUSD float64
}

// start is how long the agent took to start, in milliseconds.
func (l *life) start() int64 { return max(0, l.ready.Sub(l.started).Milliseconds()) }

// add takes over a turn of the agent.
func (l *life) add(t turnTaken) {
	if l.first.message == "" || t.at.Before(l.first.at) {
		l.first = t
	}
	if t.at.After(l.last.at) {
		l.last = t
	}
}

// whyTeam says why the agents of a team went, and what it cost to come back.
func (d *Dispatcher) whyTeam(ctx context.Context, f journal.Filter) (why ipc.Why, err error) {
	f.Since = time.Now().Add(-whySpan)
	match := func(k pool.Key) bool { return k.Team == f.Team && (f.Session == nil || k.Session == *f.Session) }
	st := d.o.Pool.Snapshot()
	live := slices.DeleteFunc(st.Processes, func(p agents.Info) bool { return !match(p.Key) })
	lives, gone, err := d.lives(ctx, f, live, &why)
	if err == nil && len(gone) > 0 {
		err = d.addTurns(ctx, f, lives, &why)
	}
	if err != nil {
		return why, err
	}
	w := &ipc.WhyTeam{
		Team: f.Team, Session: f.Session, Since: f.Since, Live: d.o.Agents.Views(live), Broken: brokenOf(st.Broken, match),
		Gone: []ipc.GoneAgent{}, Reasons: reasonsOf(gone),
	}
	why.Team = w
	for _, id := range st.Waiting {
		if m := d.inflight.live.get(id); m != nil && match(m.key()) {
			if w.Queued++; w.Queued == 1 {
				_, w.WaitsFor = d.o.Pool.Position(id)
			}
		}
	}
	after := nextOf(lives)
	for _, e := range slices.Backward(gone) {
		g := agents.GoneView(&e)
		if next := after[e.Process]; next != nil {
			g.Back = returned(&e, lives[e.Process], next)
			w.Back.Times++
			w.Back.Start += g.Back.Start
			w.Back.CacheWrite += g.Back.CacheWrite
			w.Back.CostUSD = ipc.Cost(w.Back.CostUSD + g.Back.CostUSD)
		}
		w.Gone = append(w.Gone, g)
	}
	return why, nil
}

// lives returns the live agents and those on record that match a filter, by their id, and
// the latter in order of their end.
func (d *Dispatcher) lives(ctx context.Context, f journal.Filter, live []agents.Info, why *ipc.Why) (all map[string]*life, gone []journal.AgentEnd, err error) {
	all = map[string]*life{}
	for _, p := range live {
		all[p.ID] = &life{id: p.ID, key: p.Key, started: p.Started, ready: p.Ready}
	}
	for e, err := range d.o.Store.AgentEnds(f) {
		if ok, err := d.checkRecord(ctx, err, &why.Damaged); err != nil {
			return nil, nil, err
		} else if ok {
			gone = append(gone, e)
			all[e.Process] = &life{id: e.Process, key: pool.Key{Team: e.Team, Session: e.Session}, started: e.Started, ready: e.Ready}
		}
	}
	return all, gone, nil
}

// addTurns adds to agents what their first and last turns took.
func (d *Dispatcher) addTurns(ctx context.Context, f journal.Filter, lives map[string]*life, why *ipc.Why) error {
	f.Limit = 0
	for m, err := range d.o.Store.List(f) {
		ok, err := d.checkRecord(ctx, err, &why.Damaged)
		if err != nil {
			return err
		}
		if l := lives[m.Last().Process]; ok && l != nil && m.State.Ended() && conversation.Of(&m) == l.key {
			l.add(turnTaken{m.ID, m.Last().At, m.Usage, m.CostUSD})
		}
	}
	return nil
}

// nextOf returns, by the id of an agent, the next one of its conversation that has
// started.
func nextOf(lives map[string]*life) map[string]*life {
	byKey := map[pool.Key][]*life{}
	for _, l := range lives {
		if !l.ready.IsZero() {
			byKey[l.key] = append(byKey[l.key], l)
		}
	}
	next := map[string]*life{}
	for _, all := range byKey {
		slices.SortFunc(all, func(a, b *life) int { return a.started.Compare(b.started) })
		for i := range len(all) - 1 {
			next[all[i].id] = all[i+1]
		}
	}
	return next
}

// returned says how a conversation came back after an agent had gone.
func returned(e *journal.AgentEnd, was, next *life) *ipc.Return {
	return &ipc.Return{
		ID: next.id, After: max(0, next.started.Sub(e.Ended).Milliseconds()), Start: next.start(), Message: next.first.message,
		Cached:    was.last.usage.CacheRead + was.last.usage.CacheWrite,
		CacheRead: next.first.usage.CacheRead, CacheWrite: next.first.usage.CacheWrite, CostUSD: ipc.Cost(next.first.costUSD),
	}
}

// reasonsOf counts why agents went.
func reasonsOf(gone []journal.AgentEnd) []ipc.WhyReason {
	times := map[string]int{}
	for _, e := range gone {
		times[e.Why]++
	}
	all := []ipc.WhyReason{}
	for why, n := range times {
		all = append(all, ipc.WhyReason{Why: why, Times: n})
	}
	slices.SortFunc(all, func(a, b ipc.WhyReason) int {
		return cmp.Or(cmp.Compare(b.Times, a.Times), cmp.Compare(a.Why, b.Why))
	})
	return all
}
