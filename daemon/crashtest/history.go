package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"iris/ipc"
)

// aPerson is whom the history of a message names where somebody has decided about it.
const aPerson = "a person"

// history judges the steps of a message, and counts what recovery did. A turn whose end is
// unknown is explained by what the driver did to its agent, or by a turn that never ended.
func (o *oracle) history(m *message, rec *record) {
	last, process := "", ""
	for i, step := range rec.History {
		if step.State == "unknown" && m != o.hung && !o.harmed(process) {
			o.report.broken(&o.report.unexplained, "%s: message %s is unknown, and nobody has killed its agent %s: %s", m.text.token, rec.ID, process, rec.Error)
		}
		process = step.Process
		if !slices.Contains(strings.Fields(follows[last]), step.State) {
			o.report.broken(&o.report.moved, "message %s: %s", rec.ID, strings.Join(states(rec), " "))
		}
		if last == "unknown" && step.State != "queued" {
			o.resolved(rec, i)
		}
		switch {
		case putOff(step): // see limits
		case step.By == "recovery":
			o.report.settled++
		case last == "running" && step.State == "queued":
			o.report.back++
		}
		last = step.State
	}
	if last != rec.State {
		o.report.broken(&o.report.moved, "message %s is %s: %s", rec.ID, rec.State, strings.Join(states(rec), " "))
	}
}

// resolved judges the step of an unknown message to another end, which a person must have
// asked for.
func (o *oracle) resolved(rec *record, i int) {
	step := rec.History[i]
	o.report.resolved++
	if step.By != aPerson || !o.notes.resolved[rec.ID+" "+step.State] {
		o.report.broken(&o.report.moved, "message %s was unknown and is %s, and nobody has said so but %q", rec.ID, step.State, step.By)
	}
}

// retries is how often a message was queued again after an attempt that is unknown: by
// itself, and since a person wanted it. It judges what a person wanted.
func (o *oracle) retries(rec *record) (byItself, wanted int) {
	seen := map[string]bool{}
	for i, step := range rec.History {
		switch {
		case i == 0 || step.State != "queued" || rec.History[i-1].State != "unknown":
		case step.By == "on_unknown":
			byItself++
		case o.notes.retries[step.Request] != rec.ID || seen[step.Request]:
			o.report.broken(&o.report.twice, "message %s was sent again for the request %q, which nobody has made for this", rec.ID, step.Request)
		default:
			seen[step.Request] = true
			wanted++
		}
	}
	return byItself, wanted
}

func states(rec *record) []string {
	var all []string
	for _, step := range rec.History {
		all = append(all, step.State)
	}
	return all
}

// told compares the ends that clients were told with that on record. One that was unknown
// may have another end since a person decided.
func (o *oracle) told(m *message, rec *record) {
	left := slices.IndexFunc(rec.History, func(c ipc.Change) bool { return c.State == "unknown" })
	for _, told := range o.notes.told[rec.ID] {
		later := told == "unknown" && left >= 0 && left+1 < len(rec.History) && rec.History[left+1].By == aPerson
		if told != rec.State && !later {
			o.report.broken(&o.report.moved, "%s: message %s was said to be %s, and is %s", m.text.token, rec.ID, told, rec.State)
		}
	}
}

// deadline compares when a message had to begin, which no restart may change, with when it
// did. An attempt that follows an unknown one has none.
func (o *oracle) deadline(m *message, rec *record) {
	again := slices.Index(states(rec), "unknown")
	if m.send.TTL == 0 || rec.RetryOf != "" || again >= 0 && again+1 < len(rec.History) && rec.History[again+1].State == "queued" {
		return
	}
	due := rec.Accepted.Add(time.Duration(m.send.TTL) * time.Millisecond)
	if rec.Deadline == nil || rec.Deadline.Sub(due).Abs() > time.Millisecond {
		o.report.broken(&o.report.late, "%s: message %s had to begin until %v, on record is %v", m.text.token, rec.ID, due, rec.Deadline)
		return
	}
	for _, step := range rec.History {
		if step.State == "running" && step.At.After(*rec.Deadline) {
			o.report.broken(&o.report.late, "%s: message %s began at %v, and had expired at %v", m.text.token, rec.ID, step.At, rec.Deadline)
		}
	}
}

// conversation is where the order of messages counts.
type conversation struct{ team, session string }

// order compares, for each conversation, in which order messages have begun with that in
// which they were accepted: one whose id a client had before another was submitted comes
// first, whoever has sent them.
func (o *oracle) order() {
	all := map[conversation][]*message{}
	for _, m := range o.notes.all {
		if s := o.story(m.text.token); len(s.begun) > 0 && m.accepted > 0 && !m.send.Fresh && !s.wanted() {
			c := conversation{m.send.Team, m.send.Session}
			all[c] = append(all[c], m)
		}
	}
	at := func(m *message) int { return o.story(m.text.token).at }
	for c, ms := range all {
		slices.SortFunc(ms, func(a, b *message) int { return cmp.Compare(at(a), at(b)) })
		newest := ms[0]
		for _, m := range ms {
			if m.accepted < newest.submitted {
				o.report.broken(&o.report.outOf, "%s@%s: %s began before %s, which was accepted earlier", c.team, c.session, newest.text.token, m.text.token)
			}
			if m.submitted > newest.submitted {
				newest = m
			}
		}
	}
}

// wanted reports whether a person has had the message sent again: its turn may have begun
// only then.
func (s *story) wanted() bool {
	return slices.ContainsFunc(s.records, func(r *record) bool {
		return r.RetryOf != "" || slices.ContainsFunc(r.History, func(c ipc.Change) bool { return c.Request != "" })
	})
}

// holds looks for a message that has begun while its conversation was held: from the time
// that another one became unknown until a person decided about that.
func (o *oracle) holds() {
	for i := range o.records {
		held := &o.records[i]
		for n, step := range held.History {
			if held.OnUnknown != "hold" || held.Fresh || step.State != "unknown" {
				continue
			}
			o.report.held++
			until := time.Now()
			if n+1 < len(held.History) {
				until = held.History[n+1].At
			}
			o.nothingRan(held, step.At, until)
		}
	}
}

func (o *oracle) nothingRan(held *record, from, until time.Time) {
	for i := range o.records {
		r := &o.records[i]
		if r.Team != held.Team || r.Session != held.Session {
			continue
		}
		for _, step := range r.History {
			if step.State == "running" && step.At.After(from) && step.At.Before(until) {
				o.report.broken(&o.report.unheld, "message %s began at %v in %s@%s, which message %s held from %v", r.ID, step.At, r.Team, r.Session, held.ID, from)
			}
		}
	}
}
