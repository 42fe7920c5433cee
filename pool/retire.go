package pool

// retirement says why an agent whose turn is over stops; empty if it does not. A
// queue that gives its place up waits anew.
func (t *table) retirement(s *slot, e *entry, end *End) string {
	switch {
	case end.Err != nil && e.sent:
		return "its turn ended with: " + reason(end.Err)
	case end.Retire != "":
		return end.Retire
	case s.work != nil:
		return "" // its own work goes on; rests asks again
	case t.spent(s) != "":
		return t.spent(s)
	case t.closed || t.overfull():
		return t.surplus()
	case t.givesWay(s):
		return "spare: gave way to " + t.waiting.first().key.String()
	case t.yields(s):
		s.queue.yieldSeq, s.queue.yieldAt = t.number(), t.now
		return "fair_wait: gave way to " + t.waiting.first().key.String()
	}
	return ""
}

// spent says why an agent may have no further turn, whatever else is free; empty if
// it may.
func (t *table) spent(s *slot) string {
	set := t.settings(s.queue.key.Team)
	switch {
	case s.retire != "":
		return s.retire
	case s.fresh && s.turns > 0:
		return "its conversation was for one message"
	case s.variant.MaxCost > 0 && s.turns > 0:
		return "its cost limit was of one message"
	case set.MaxMessages > 0 && s.ended >= set.MaxMessages:
		return "max_messages_per_agent reached"
	}
	return ""
}

// restOrStop makes an agent whose turn is over idle, or stops it.
func (t *table) restOrStop(s *slot, why string) {
	switch {
	case s.exited:
		t.withdraw(s)
	case why == "":
		t.free(s)
	default:
		t.stop(s, why)
	}
}
