package main

import (
	"slices"
	"strings"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// record judges one record of a message.
func (o *oracle) record(m *message, s *story, rec *record) {
	r := o.report
	r.recorded++
	o.history(m, rec)
	o.told(m, rec)
	o.deadline(m, rec)
	if want := m.text.bytes(); rec.Bytes != want || rec.Blocks != m.text.file {
		r.broken(&r.lost, "%s: message %s has %d bytes of content, not %d", m.text.token, rec.ID, rec.Bytes, want)
	}
	byPerson := len(rec.History) > 0 && rec.History[len(rec.History)-1].By == aPerson
	switch rec.State {
	case "done":
		r.done++
		if !byPerson {
			o.done(m, s, rec)
		}
	case "failed":
		r.failed++
		if refusedByBudget(rec) && !byPerson {
			o.endedByBudget(m, s, rec)
		} else if !byPerson && !o.failed(m, s, rec) {
			r.broken(&r.noProof, "%s: message %s failed, and its agent had not: %s", m.text.token, rec.ID, rec.Error)
		}
	case "cancelled":
		r.cancelled++
		if !byPerson && slices.Contains(s.ended, "success") && s.told && !s.killed && !m.text.waits {
			r.broken(&r.noProof, "%s: message %s is cancelled, and was answered", m.text.token, rec.ID)
		}
	case "expired":
		r.expired++
		if len(s.begun) > putOffs(rec) {
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

// failed reports whether that is proven: its account was limited; its answer was given, and the work beside it was
// ended with its agent; or its turn had not begun, and the agent for it was killed as it
// started.
func (o *oracle) failed(m *message, s *story, rec *record) bool {
	if o.endedByLimit(s, rec) {
		return true
	}
	if strings.HasPrefix(rec.Error, "background work was ended with the agent") {
		return slices.Contains(s.ended, "success") && m.text.fitsCut(rec.answer)
	}
	if slices.ContainsFunc(s.begun, func(b claudetest.Entry) bool { return b.Process == rec.Process }) {
		return false
	}
	if rec.Process != "" {
		return o.harmed(rec.Process)
	}
	for process, team := range o.notes.killed {
		if team == rec.Team && !o.worked[process] {
			return true
		}
	}
	return false
}

// unknown means that nobody knows the end. What its sender wanted then must have been done.
func (o *oracle) unknown(m *message, rec *record) {
	if m == o.hung {
		o.report.hung++
	}
	again := slices.ContainsFunc(rec.History, func(c ipc.Change) bool { return c.By == "on_unknown" })
	if rec.OnUnknown == "retry" && !again {
		o.report.broken(&o.report.lost, "%s: message %s is unknown, and was not sent again as its sender wanted", m.text.token, rec.ID)
	}
}
