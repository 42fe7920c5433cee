package journal

import "testing"

// What was chosen to be removed may have changed since: it is looked at again.
func TestPruneLooksAgain(t *testing.T) {
	j, _ := tempJournal(t)
	for n, s := range []State{Done, Running, Queued, Unknown, Failed} {
		m := message(n)
		m.Options.Key = m.ID
		mustAccept(t, j, m)
		if s != Queued {
			must1(j.Dispatch(m.ID, attempt(n)))(t)
		}
		if s.Ended() {
			must1(j.End(m.ID, End{State: s, At: at(n)}))(t)
		}
	}
	var all [][]byte
	for n := range 6 { // the last one is not there
		all = append(all, []byte(messageID(n)))
	}
	if n := must1(j.pruneKeys(all, at(4)))(t); n != 2 { // of 0 and 3
		t.Errorf("%d keys, want 2", n)
	}
	if n := must1(j.prune(all, at(4)))(t); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
	if got := ids(t, j.List(Filter{})); len(got) != 3 || got[0] != messageID(4) || got[1] != messageID(2) || got[2] != messageID(1) {
		t.Errorf("left: %v", got)
	}
	if err := j.Check(); err != nil {
		t.Error(err)
	}
}
