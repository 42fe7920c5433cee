package main

import (
	"fmt"
	"slices"
	"strings"

	"iris/pool/claude/claudetest"
)

// final are the states that a message never leaves here but to be sent again: nobody
// resolves an unknown one.
var final = map[string]bool{"done": true, "failed": true, "cancelled": true, "expired": true, "unknown": true}

// follows says which state may come after which.
var follows = map[string]string{
	"":        "queued",
	"queued":  "running failed cancelled expired",
	"running": "done failed cancelled unknown queued",
	"unknown": "queued",
}

// oracle holds the three witnesses against each other.
type oracle struct {
	notes   *notes
	records []record
	entries []claudetest.Entry
	report  *report
	hung    *message

	byID   map[string]*record
	tokens map[string]*story
}

// story is all that is known of one message, by its token.
type story struct {
	records []*record
	begun   []claudetest.Entry // lines of the ledger
	at      int                // place of the first of them
	ended   []string           // how, by the agent's own word
	told    bool               // the agent has written that out
	killed  bool               // an agent that the driver has killed had it
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
	o.report.refused = o.notes.full
	for _, what := range o.notes.moved {
		o.report.broken(&o.report.moved, "%s", what)
	}
	if o.report.atKill == 0 || o.report.settled == 0 {
		o.report.problem("no turn ran at a kill and was settled later: this proves nothing")
	}
}

// gather sorts records and ledger by message.
func (o *oracle) gather() {
	o.byID, o.tokens = map[string]*record{}, map[string]*story{}
	for i := range o.records {
		r := &o.records[i]
		o.byID[r.ID] = r
		s := o.story(r.Origin)
		s.records = append(s.records, r)
		s.killed = s.killed || o.notes.killed[r.Process]
	}
	begun := map[string]*story{} // by the agent's own id of a turn
	for i, e := range o.entries {
		switch e.Kind {
		case "B":
			s := o.story(tokenOf(e.Text))
			if begun[e.UUID] = s; len(s.begun) == 0 {
				s.at = i
			}
			s.begun = append(s.begun, e)
			s.killed = s.killed || o.notes.killed[e.Process]
		case "E":
			if s := begun[e.UUID]; s != nil {
				s.ended = append(s.ended, e.Text)
			}
		case "W":
			if s := begun[e.UUID]; s != nil {
				s.told = true
			}
		}
	}
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
	if len(s.records) > 1 && m.send.Key != "" {
		r.broken(&r.keyTwice, "%s: its key stands for %d messages", token, len(s.records))
	} else if len(s.records) > 1 {
		r.broken(&r.twice, "%s: submitted once and %d times on record", token, len(s.records))
	}
	processes := map[string]bool{}
	may := 0
	for _, rec := range s.records {
		for _, step := range rec.History {
			processes[step.Process] = true
		}
		again := retries(rec)
		if again > 0 && rec.OnUnknown != "retry" || again > 1 {
			r.broken(&r.twice, "%s: %s was sent again %d times without need", token, rec.ID, again)
		}
		may += 1 + again
		r.retried += again
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

// record judges one record of a message.
func (o *oracle) record(m *message, s *story, rec *record) {
	r := o.report
	r.recorded++
	o.history(rec)
	if told := o.notes.told[rec.ID]; told != "" && told != rec.State {
		r.broken(&r.moved, "%s: message %s was said to be %s, and is %s", m.text.token, rec.ID, told, rec.State)
	}
	if want := int64(len(m.text.String())); rec.Bytes != want {
		r.broken(&r.lost, "%s: message %s has %d bytes of text, not %d", m.text.token, rec.ID, rec.Bytes, want)
	}
	began := slices.ContainsFunc(s.begun, func(b claudetest.Entry) bool { return b.Process == rec.Process })
	switch rec.State {
	case "done":
		r.done++
		o.done(m, s, rec)
	case "failed":
		r.failed++
		cut := strings.HasPrefix(rec.Error, "background work was ended with the agent") &&
			slices.Contains(s.ended, "success") && m.text.fitsCut(rec.answer)
		if !cut && (began || len(o.notes.killed) == 0) {
			r.broken(&r.noProof, "%s: message %s failed, and its agent had not: %s", m.text.token, rec.ID, rec.Error)
		}
	case "cancelled":
		r.cancelled++
		if slices.Contains(s.ended, "success") && s.told && !s.killed && !m.text.waits {
			r.broken(&r.noProof, "%s: message %s is cancelled, and was answered", m.text.token, rec.ID)
		}
	case "expired":
		r.expired++
		if len(s.begun) > 0 {
			r.broken(&r.afterEnd, "%s: message %s had expired, and has run in %s", m.text.token, rec.ID, places(s.begun))
		}
	case "unknown":
		r.unknown++
		o.unknown(m, rec)
	default:
		r.broken(&r.notEnded, "%s: message %s is %s", m.text.token, rec.ID, rec.State)
	}
}

// done is proven by the agent that says so, and by its answer.
func (o *oracle) done(m *message, s *story, rec *record) {
	r := o.report
	if !slices.Contains(s.ended, "success") {
		r.broken(&r.noProof, "%s: message %s is done, and no agent says so", m.text.token, rec.ID)
	}
	if !m.text.fits(rec.answer) {
		r.broken(&r.wrong, "%s: message %s is answered %.60q, not %.60q", m.text.token, rec.ID, rec.answer, m.text.want())
	}
}

// unknown is explained by a kill of its agent, or by a turn that never ended.
// What its sender wanted then must have been done.
func (o *oracle) unknown(m *message, rec *record) {
	r := o.report
	switch {
	case m == o.hung:
		r.hung++
	case !o.notes.killed[rec.Process]:
		r.broken(&r.unexplained, "%s: message %s is unknown, and nobody has killed its agent %s: %s", m.text.token, rec.ID, rec.Process, rec.Error)
	}
	if rec.OnUnknown == "retry" && retries(rec) == 0 {
		r.broken(&r.lost, "%s: message %s is unknown, and was not sent again as its sender wanted", m.text.token, rec.ID)
	}
}

// history judges the steps of a message, and counts what recovery did.
func (o *oracle) history(rec *record) {
	last, process := "", ""
	for i, step := range rec.History {
		if step.State == "unknown" && i < len(rec.History)-1 && !o.notes.killed[process] && o.hung == nil {
			o.report.broken(&o.report.unexplained, "message %s was sent again, and nobody has killed its agent %s", rec.ID, process)
		}
		process = step.Process
		if !slices.Contains(strings.Fields(follows[last]), step.State) {
			o.report.broken(&o.report.moved, "message %s: %s", rec.ID, strings.Join(states(rec), " "))
		}
		switch {
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

// retries is how often a message was queued again after an attempt that is unknown.
func retries(rec *record) (n int) {
	for i, step := range rec.History {
		if i > 0 && step.State == "queued" && rec.History[i-1].State == "unknown" {
			n++
		}
	}
	return n
}

func states(rec *record) []string {
	var all []string
	for _, step := range rec.History {
		all = append(all, step.State)
	}
	return all
}

// order compares, for each client and conversation, in which order messages have
// begun with that in which they were accepted.
func (o *oracle) order() {
	for l, all := range o.notes.lines {
		var before *message
		last := -1
		for _, m := range all {
			s := o.story(m.text.token)
			if len(s.begun) == 0 {
				continue
			}
			if s.at < last {
				o.report.broken(&o.report.outOf, "%s@%s: %s began before %s, which was accepted earlier", l.team, l.session, m.text.token, before.text.token)
			}
			before, last = m, s.at
		}
	}
}
