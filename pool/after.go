package pool

// leaving says why an agent whose turn is over is of no further use; empty when
// it is. A line that gives way waits anew.
func (t *table) leaving(s *slot, j *job, res *Result, err error) string {
	set := t.settings(s.line.key.Team)
	switch {
	case err != nil && j.sent:
		return "its turn ended with: " + reason(err)
	case res != nil && res.Retire != "":
		return res.Retire
	case s.retire != "":
		return s.retire
	case s.fresh:
		return "its conversation was for one message"
	case set.MaxTurns > 0 && s.ended >= set.MaxTurns:
		return "max_turns reached"
	case t.closed || t.over():
		return t.surplus()
	case t.yields(s):
		t.seq++
		s.line.yieldSeq, s.line.yieldAt = t.seq, t.now
		return "fair_wait: gave way to " + t.needy.first().key.String()
	}
	return ""
}

// after has an agent rest whose turn is over, or leave.
func (t *table) after(s *slot, why string) {
	switch {
	case s.exited:
		t.leave(s)
	case why == "":
		t.rest(s)
	default:
		t.stop(s, why)
	}
}
