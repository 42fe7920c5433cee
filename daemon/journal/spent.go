package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"iris/pool/turn"
)

// Spent is the usage of one message.
type Spent struct {
	Team     string
	Session  string
	Accepted time.Time
	CostUSD  float64
	Usage    turn.Usage
}

// ends are the codes of the states in which a message has ended.
var ends = []byte{'d', 'f', 'c', 'e', 'u'}

// Spending yields the usage of the ended messages that a filter chooses, newest
// first; the states of the filter are ignored. It yields damage as List does. It
// reads little of each record, and holds no lock while the caller handles one.
func (j *Journal) Spending(f Filter) iter.Seq2[Spent, error] {
	return func(yield func(Spent, error) bool) {
		for at, more := f.Before, true; more; {
			var found []hit
			var err error
			if found, at, more, err = j.scan(f, ends, at); err != nil {
				yield(Spent{}, err)
				return
			}
			for i := range found {
				if !yield(j.spent(&found[i])) {
					return
				}
			}
		}
	}
}

func (j *Journal) spent(h *hit) (Spent, error) {
	s := Spent{Team: string(h.head.team), Session: string(h.head.session), Accepted: time.Unix(0, h.head.accepted)}
	m, err := lastFields(h.json)
	if h.err != nil || err != nil {
		return Spent{}, &DamageError{Path: j.path, ID: h.id, What: errors.Join(h.err, err).Error()}
	}
	s.CostUSD, s.Usage = m.CostUSD, m.Usage
	if s.Usage == (turn.Usage{}) && m.CostUSD > 0 { // an earlier iris kept it only in the result
		r, err := j.Result(h.id)
		if err != nil {
			return s, err
		}
		if r != nil {
			s.Usage = r.Usage
		}
	}
	return s, nil
}

// lastFields reads the fields of a message that come from its result. They are at the
// end of the record and much shorter than the texts before. Their beginning occurs in
// no text, since a quote in a text has a backslash before it.
func lastFields(record []byte) (m Message, err error) {
	i := bytes.LastIndex(record, []byte(`,"outcome":"`))
	if i < 0 { // of an earlier attempt with an unknown outcome
		i = bytes.LastIndex(record, []byte(`,"cost_usd":`))
	}
	if i < 0 {
		return m, nil
	}
	last := append([]byte("{"), record[i+1:]...)
	return m, json.Unmarshal(last, &m)
}
