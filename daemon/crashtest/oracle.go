package main

import (
	"fmt"
	"strings"

	"iris/pool/claude/claudetest"
)

// final are the states that a message never leaves, but for unknown: a person may send it
// again or say how it ended.
var final = map[string]bool{"done": true, "failed": true, "cancelled": true, "expired": true, "unknown": true}

// follows says which state may come after which.
var follows = map[string]string{
	"":        "queued",
	"queued":  "running failed cancelled expired",
	"running": "done failed cancelled unknown queued",
	"unknown": "queued done failed cancelled",
}

// oracle holds the three witnesses against each other.
type oracle struct {
	notes   *notes
	records []record
	entries []claudetest.Entry
	report  *report
	hung    *message
	budgets map[string][]budget

	byID   map[string]*record
	tokens map[string]*story
	worked map[string]bool // processes in which a turn has begun

	limited map[string]bool // accounts that have reached a limit, by the word of an agent
}

// story is all that is known of one message, by its token.
type story struct {
	records []*record
	begun   []claudetest.Entry // lines of the ledger
	at      int                // place of the first of them
	ended   []string           // how, by the agent's own word
	told    bool               // the agent has written that out
	killed  bool               // an agent that the driver has harmed had it
	limits  []limit            // that its turns have hit
}

// judge finds every broken promise.
func (o *oracle) judge() {
	o.gather()
	o.agents()
	for _, m := range o.notes.all {
		o.message(m, o.story(m.text.token))
	}
	for token, s := range o.tokens {
		if o.notes.all[token] == nil {
			o.report.broken(&o.report.lost, "nobody has submitted %q, but %d are on record and %d have begun", token, len(s.records), len(s.begun))
		}
	}
	o.order()
	o.holds()
	o.limits()
	o.spending()
	o.report.refused, o.report.stopped = o.notes.full, o.notes.stops
	for _, opens := range o.notes.opens {
		o.report.opened += len(opens)
	}
	if o.report.atKill == 0 || o.report.settled == 0 {
		o.report.problem("no turn ran at a kill and was settled later: this proves nothing")
	}
}

// gather sorts records and ledger by message.
func (o *oracle) gather() {
	o.byID, o.tokens, o.worked, o.limited = map[string]*record{}, map[string]*story{}, map[string]bool{}, map[string]bool{}
	for i := range o.records {
		r := &o.records[i]
		o.byID[r.ID] = r
		s := o.story(r.Origin)
		s.records = append(s.records, r)
		s.killed = s.killed || o.harmed(r.Process)
	}
	begun := map[string]*story{} // by the agent's own id of a turn
	for i, e := range o.entries {
		switch e.Kind {
		case "B":
			o.worked[e.Process] = true
			s := o.story(tokenOf(e.Text))
			if begun[e.UUID] = s; len(s.begun) == 0 {
				s.at = i
			}
			s.begun = append(s.begun, e)
			s.killed = s.killed || o.harmed(e.Process)
		case "E":
			if s := begun[e.UUID]; s != nil {
				s.ended = append(s.ended, e.Text)
			}
		case "L":
			if s := begun[e.UUID]; s != nil {
				s.limits = append(s.limits, limitOf(e))
				for _, rec := range s.records {
					o.limited[account(rec.Team)] = true
				}
			}
		case "W":
			if s := begun[e.UUID]; s != nil {
				s.told = true
			}
		}
	}
}

// harmed reports whether the driver did something to an agent that may have cost a turn
// its end.
func (o *oracle) harmed(process string) bool {
	_, harmed := o.notes.killed[process]
	return harmed
}

func (o *oracle) story(token string) *story {
	s := o.tokens[token]
	if s == nil {
		s = new(story)
		o.tokens[token] = s
	}
	return s
}

// agents hears what the agents have said of each other.
func (o *oracle) agents() {
	for _, e := range o.entries {
		switch {
		case e.Kind != "V":
		case strings.Contains(e.Text, "allowed"):
			o.report.broken(&o.report.breaches, "process %d (%s): %s", e.PID, e.Process, e.Text)
		default:
			o.report.broken(&o.report.shared, "process %d (%s), session %s: %s", e.PID, e.Process, e.Session, e.Text)
		}
	}
}

// message judges one message.
func (o *oracle) message(m *message, s *story) {
	r, token := o.report, m.text.token
	r.begun += len(s.begun)
	for _, id := range m.ids {
		r.accepted++
		if got := o.byID[id]; got == nil {
			r.broken(&r.lost, "%s: its sender has the id %s, which is not on record", token, id)
		} else if got.Origin != token {
			r.broken(&r.lost, "%s: its sender has the id %s, on record as %q", token, id, got.Origin)
		}
	}
	if len(s.records) == 0 && len(s.begun) > 0 {
		r.broken(&r.early, "%s: it has run in %s, and is not on record", token, s.begun[0].Process)
	}
	if m.wrong != "" {
		r.broken(&r.wrong, "%s: its sender was answered %.60q", token, m.wrong)
	}
	if m.stole != "" {
		r.broken(&r.keyTwice, "%s: another text was accepted under its key, as %s", token, m.stole)
	}
	o.runs(m, s)
	for _, rec := range s.records {
		o.record(m, s, rec)
	}
}

// runs compares how often a message has begun with how often it may.
func (o *oracle) runs(m *message, s *story) {
	r, token := o.report, m.text.token
	originals := 0
	for _, rec := range s.records {
		if rec.RetryOf == "" {
			originals++
		} else if o.notes.retries[rec.ID] != rec.RetryOf { // it had ended when a person sent it again
			r.broken(&r.twice, "%s: nobody has sent %s again as %s", token, rec.RetryOf, rec.ID)
		}
	}
	if originals > 1 && m.send.Key != "" {
		r.broken(&r.keyTwice, "%s: its key stands for %d messages", token, originals)
	} else if originals > 1 {
		r.broken(&r.twice, "%s: submitted once and %d times on record", token, originals)
	}
	processes := map[string]bool{}
	may := 0
	for _, rec := range s.records {
		for _, step := range rec.History {
			processes[step.Process] = true
		}
		again, wanted := o.retries(rec)
		if again > 0 && rec.OnUnknown != "retry" || again > 1 {
			r.broken(&r.twice, "%s: %s was sent again %d times without need", token, rec.ID, again)
		}
		may += 1 + again + wanted + putOffs(rec)
		r.retried += again
		r.wanted += wanted
	}
	if len(s.begun) > may && len(s.records) > 0 {
		r.broken(&r.twice, "%s: begun %d times: %s", token, len(s.begun), places(s.begun))
	}
	for _, b := range s.begun {
		if len(s.records) > 0 && !processes[b.Process] {
			r.broken(&r.early, "%s: begun in %s, which its record does not name", token, b.Process)
		}
	}
}

func places(begun []claudetest.Entry) string {
	var all []string
	for _, b := range begun {
		all = append(all, fmt.Sprintf("%s (pid %d)", b.Process, b.PID))
	}
	return strings.Join(all, ", ")
}
