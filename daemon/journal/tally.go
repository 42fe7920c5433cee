package journal

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"

	"iris/pool/turn"
)

// A level is one of the two ways in which the journal sums up.
type level struct {
	code     byte // begins its keys
	unit     time.Duration
	sessions bool // has a sum for each session, and not only for each team
}

var (
	daily     = level{'d', 24 * time.Hour, true}
	quarterly = level{'q', Slot, false}

	levels = []level{daily, quarterly}
)

// key is the key of the tally of a conversation at a time; without a team it is where the
// tallies of that time begin.
func (l level) key(at time.Time, team, session string) []byte {
	k := binary.BigEndian.AppendUint64([]byte{l.code}, uint64(at.Truncate(l.unit).Unix()))
	if team == "" {
		return k
	}
	k = append(append(k, team...), 0)
	if l.sessions {
		k = append(k, sumSession(session)...)
	}
	return k
}

// A tally is the record of a Sum. Its costs are in billionths of a dollar, so that what was
// added can be taken away.
type tally struct {
	from          time.Time // beginning of the unit of its level
	team, session string

	amounts
	first, last string // the lowest and the highest id of a message that it includes or has included
}

// amounts are what a tally adds up.
type amounts struct {
	messages, cost int64
	usage          turn.Usage
	turns, ownCost int64
	own            turn.Usage
}

func (a *amounts) add(b amounts) {
	a.messages += b.messages
	a.cost += b.cost
	a.usage = a.usage.Plus(b.usage)
	a.turns += b.turns
	a.ownCost += b.ownCost
	a.own = a.own.Plus(b.own)
}

// minus returns the difference.
func (a amounts) minus(b amounts) amounts {
	return amounts{
		a.messages - b.messages, a.cost - b.cost, a.usage.Minus(b.usage),
		a.turns - b.turns, a.ownCost - b.ownCost, a.own.Minus(b.own),
	}
}

// spent is the part of a message in its tally: nothing before its end.
func (m *Message) spent() amounts {
	if !m.State.Ended() {
		return amounts{}
	}
	return amounts{messages: 1, cost: int64(turn.Dollars(m.CostUSD)), usage: m.Usage}
}

func (o *Own) spent() amounts {
	return amounts{turns: 1, ownCost: int64(turn.Dollars(o.CostUSD)), own: o.Usage}
}

// sumSession is the session in whose sum a session counts.
func sumSession(session string) string {
	if strings.HasPrefix(session, freshSession) {
		return freshSession
	}
	return session
}

func (t *tally) sum() Sum {
	return Sum{
		From: t.from, Team: t.team, Session: t.session,
		Messages: t.messages, CostUSD: float64(t.cost) / 1e9, Usage: t.usage,
		Own: OwnSum{t.turns, float64(t.ownCost) / 1e9, t.own},
	}
}

// readTally reads a tally that put has stored.
func readTally(k, v []byte) (t tally, err error) {
	b, err := unseal(bucketSums, k, v)
	if err != nil {
		return t, err
	}
	return openTally(k, b)
}

// openTally reads a tally and its key.
func openTally(k, b []byte) (t tally, err error) {
	if len(k) < 9 {
		return t, errCoding
	}
	team, session, ok := bytes.Cut(k[9:], []byte{0})
	if !ok {
		return t, errCoding
	}
	t.from, t.team, t.session = time.Unix(int64(binary.BigEndian.Uint64(k[1:])), 0), string(team), string(session)
	r := read(b)
	for r.next() {
		switch r.field {
		case 1:
			t.messages = r.n
		case 2:
			t.cost = r.n
		case 3:
			t.usage = readUsage(r)
		case 4:
			t.turns = r.n
		case 5:
			t.ownCost = r.n
		case 6:
			t.own = readUsage(r)
		case 7:
			t.first = string(r.b)
		case 8:
			t.last = string(r.b)
		}
	}
	return t, r.err
}

func (t *tally) fields() (f fields) {
	f.number(1, t.messages)
	f.number(2, t.cost)
	f.bytes(3, usageFields(t.usage))
	f.number(4, t.turns)
	f.number(5, t.ownCost)
	f.bytes(6, usageFields(t.own))
	f.text(7, t.first)
	f.text(8, t.last)
	return f
}

// include makes the range of ids include id, unless that is empty.
func (t *tally) include(id string) {
	if id == "" {
		return
	}
	if t.first == "" || id < t.first {
		t.first = id
	}
	t.last = max(t.last, id)
}

// addMessage adds amounts, which may be negative, to the tallies of a message.
func addMessage(tx *txn, m *Message, more amounts) error {
	return addTallies(tx, m.Accepted(), m.Team, m.Session, m.ID, more)
}

// addOwn adds amounts, which may be negative, to the tallies of an own turn.
func addOwn(tx *txn, o *Own, more amounts) error {
	return addTallies(tx, o.At, o.Team, o.Session, "", more)
}

func addTallies(tx *txn, at time.Time, team, session, id string, more amounts) error {
	for _, l := range levels {
		if err := addTo(tx, l.key(at, team, session), id, more); err != nil {
			return err
		}
	}
	return nil
}

// addTo adds amounts to the tally of a key. A tally of nothing is removed. A damaged tally
// is left as it is: who reads it is told.
func addTo(tx *txn, k []byte, id string, more amounts) error {
	if more == (amounts{}) {
		return nil
	}
	b, err := get(tx, bucketSums, k)
	var t tally
	if err == nil {
		t, err = openTally(k, b)
	}
	if err != nil {
		return nil
	}
	t.add(more)
	t.include(id)
	if t.messages == 0 && t.turns == 0 {
		return del(tx, bucketSums, k)
	}
	return put(tx, bucketSums, k, t.fields())
}

// tallies sums up what is on record, by the keys of its levels.
type tallies map[string]*tally

func (all tallies) add(k []byte, id string, more amounts) {
	t := all[string(k)]
	if t == nil {
		made, _ := openTally(k, nil)
		t = &made
		all[string(k)] = t
	}
	t.add(more)
	t.include(id)
}

// addMessage adds a message to the tallies of every level, if it has ended.
func (all tallies) addMessage(m *Message) {
	if !m.State.Ended() {
		return
	}
	for _, l := range levels {
		all.add(l.key(m.Accepted(), m.Team, m.Session), m.ID, m.spent())
	}
}

// addOwns adds the own turns to the tallies of every level. The error says that one cannot
// be read; the others are added nevertheless.
func (all tallies) addOwns(tx *txn) (bad error) {
	b := tx.Bucket(bucketOwn)
	if b == nil {
		return nil
	}
	b.ForEach(func(k, v []byte) error {
		var o Own
		if err := openJSON(bucketOwn, k, v, &o); err != nil {
			bad = err
			return nil
		}
		for _, l := range levels {
			all.add(l.key(o.At, o.Team, o.Session), "", o.spent())
		}
		return nil
	})
	return bad
}
