package journal

import (
	"iter"
	"maps"
	"slices"
	"time"

	"iris/pool/turn"
)

// Slot is the time that a sum of Slots covers. Slots divide the days of every time zone.
const Slot = 15 * time.Minute

// freshSession begins the names of the sessions of single messages. All of them count as
// one session of that name.
const freshSession = "~"

// Sum is the usage of messages that were accepted in a time and have ended, as far as they
// are on record, and of the own turns that ended in it.
type Sum struct {
	From     time.Time // beginning of the time
	Team     string
	Session  string // "~" for all single messages; empty in a sum of Slots
	Messages int64
	CostUSD  float64
	Usage    turn.Usage
	Own      OwnSum
}

// OwnSum is the usage of own turns.
type OwnSum struct {
	Turns   int64
	CostUSD float64
	Usage   turn.Usage
}

// Days yields the sums of each conversation and day of UTC that match the team, session
// and time of a filter, oldest first; its other fields are ignored. Since may be any time
// of a day: then the messages of the rest of that day are read. A *DamageError names a
// damaged sum or message, and does not end the list. No lock is held while the caller
// handles a sum.
func (j *Journal) Days(f Filter) iter.Seq2[Sum, error] { return j.sums(f, daily) }

// Slots is Days by teams and quarters of an hour. With a session all messages are read.
func (j *Journal) Slots(f Filter) iter.Seq2[Sum, error] { return j.sums(f, quarterly) }

func (j *Journal) sums(f Filter, l level) iter.Seq2[Sum, error] {
	return func(yield func(Sum, error) bool) {
		at := []byte{l.code}
		switch {
		case f.Session != nil && !l.sessions:
			j.counted(f, l, span{}, yield)
			return
		case !f.Since.Equal(f.Since.Truncate(l.unit)):
			part, err := j.span(f.Since, l)
			if err != nil {
				yield(Sum{}, err)
				return
			}
			if !j.counted(f, l, part, yield) {
				return
			}
			at = l.key(f.Since.Add(l.unit), "", "")
		case !f.Since.IsZero():
			at = l.key(f.Since, "", "")
		}
		j.recorded(f, l, at)(yield)
	}
}

// recorded yields the sums on record from a key on.
func (j *Journal) recorded(f Filter, l level, at []byte) iter.Seq2[Sum, error] {
	return inChunks(at, func(at []byte) ([]finding[Sum], []byte, error) { return j.sumsFrom(&f, l, at) })
}

// sumsFrom reads a chunk of sums.
func (j *Journal) sumsFrom(f *Filter, l level, at []byte) ([]finding[Sum], []byte, error) {
	return readChunk(j, bucketSums, []byte{l.code}, at, func(k, v []byte) (finding[Sum], bool) {
		t, err := readTally(k, v)
		if err != nil {
			return finding[Sum]{err: damagedRecord(j.path, bucketSums, k, err)}, true
		}
		return finding[Sum]{record: t.sum()}, (f.Team == "" || t.team == f.Team) && (f.Session == nil || t.session == *f.Session)
	})
}

// A span is where the messages accepted in a time are: before end, with ids from first to
// last. Empty fields do not limit it.
type span struct {
	end         time.Time
	first, last string
	bad         []error // its damaged sums
}

// span returns where the messages are that were accepted in the unit of a time.
func (j *Journal) span(at time.Time, l level) (s span, err error) {
	s.end = at.Truncate(l.unit).Add(l.unit)
	var all tally
	err = j.view(func(tx *txn) error {
		all, s.bad = tally{}, nil
		c := tx.Bucket(bucketSums).Cursor()
		end := string(l.key(s.end, "", ""))
		for k, v := c.Seek(l.key(at, "", "")); k != nil && string(k) < end; k, v = c.Next() {
			t, err := readTally(k, v)
			if err != nil {
				s.bad = append(s.bad, damagedRecord(j.path, bucketSums, k, err))
				continue
			}
			all.include(t.first)
			all.include(t.last)
		}
		return nil
	})
	if s.first, s.last = all.first, all.last; len(s.bad) > 0 { // its messages may have any id
		s.first, s.last = "", "\xff"
	}
	return s, err
}

// counted yields sums of the messages and own turns of a span, one by one. It reports
// whether yield wants more.
func (j *Journal) counted(f Filter, l level, s span, yield func(Sum, error) bool) bool {
	all := tallies{}
	bad := s.bad
	err := j.countMessages(f, l, s, all, func(err error) { bad = append(bad, err) })
	if err == nil {
		err = j.countOwns(f, l, s, all, func(err error) { bad = append(bad, err) })
	}
	if err != nil {
		yield(Sum{}, err)
		return false
	}
	for _, err := range bad {
		if !yield(Sum{}, err) {
			return false
		}
	}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if !yield(all[k].sum(), nil) {
			return false
		}
	}
	return true
}

func (j *Journal) countMessages(f Filter, l level, s span, all tallies, note func(error)) error {
	messages := Filter{Team: f.Team, Since: f.Since}
	if s.last != "" {
		messages.Before = s.last + "\x00"
	} else if !s.end.IsZero() {
		return nil // no message has ended
	}
	for m, err := range j.List(messages) {
		switch {
		case err != nil && !isDamage(err):
			return err
		case m.ID < s.first:
			return nil
		case err != nil:
			note(err)
		case f.wantsSession(m.Session) && m.State.Ended() && (s.end.IsZero() || m.Accepted().Before(s.end)):
			all.add(l.key(m.Accepted(), m.Team, m.Session), m.ID, m.spent())
		}
	}
	return nil
}

func (j *Journal) countOwns(f Filter, l level, s span, all tallies, note func(error)) error {
	for o, err := range j.Owns(Filter{Team: f.Team, Since: f.Since}) {
		_, damaged := err.(*DamageError)
		switch {
		case err != nil && !damaged:
			return err
		case err != nil:
			note(err)
		case !s.end.IsZero() && !o.At.Before(s.end):
			return nil
		case f.wantsSession(o.Session):
			all.add(l.key(o.At, o.Team, o.Session), "", o.spent())
		}
	}
	return nil
}

// wantsSession reports whether a filter of sums chooses a session.
func (f *Filter) wantsSession(session string) bool {
	return f.Session == nil || sumSession(session) == *f.Session
}
