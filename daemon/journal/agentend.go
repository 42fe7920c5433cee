package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"time"
)

// AgentEnd is the life of an agent that is gone.
type AgentEnd struct {
	Team    string    `json:"team"`
	Session string    `json:"session,omitempty"`
	Process string    `json:"process"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Ready   time.Time `json:"ready"` // for its first turn
	Ended   time.Time `json:"ended"`
	Why     string    `json:"why,omitempty"`
	Turns   int       `json:"turns,omitempty"` // of messages
	Own     int       `json:"own,omitempty"`   // turns that nobody has sent
}

// bucketAgents holds the ends of agents by team, time and process. The first one creates
// it, so that an iris that knows no ends can open the journal.
var bucketAgents = []byte("agents")

// endsADay is how many ends of a team are kept of one day: a team whose agents crash at
// once must not fill the disk.
const endsADay = 200

// RecordAgentEnds records ends in one transaction. They are on disk when it returns.
// Repeat it if its result is unknown.
func (j *Journal) RecordAgentEnds(ends ...AgentEnd) error {
	err := j.update(func(tx *txn) error {
		if _, err := tx.CreateBucketIfNotExists(bucketAgents); err != nil {
			return halfway{err}
		}
		for i := range ends {
			e := &ends[i]
			if err := putJSON(tx, bucketAgents, append(agentKey(e.Team, e.Ended), e.Process...), e); err != nil {
				return halfway{err}
			}
			if err := limitAgents(tx, e.Team, e.Ended); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the ends of %d agents: %w", len(ends), err)
	}
	return nil
}

// limitAgents removes the end of a team that is too many for the day before at.
func limitAgents(tx *txn, team string, at time.Time) error {
	c := tx.Bucket(bucketAgents).Cursor()
	k, _ := before(c, []byte(team+"\x01"), false)
	for n := 0; n < endsADay && k != nil; n++ {
		k, _ = c.Prev()
	}
	if of, ended, ok := splitAgentKey(k); !ok || of != team || ended.Before(at.Add(-24*time.Hour)) {
		return nil
	}
	return del(tx, bucketAgents, append([]byte(nil), k...))
}

// agentKey is the lowest key of the agents of a team that ended at that time or later.
func agentKey(team string, ended time.Time) []byte {
	at := uint64(0)
	switch {
	case ended.Year() > 2200: // later than a number of nanoseconds can say
		at = math.MaxInt64
	case ended.Unix() > 0:
		at = uint64(ended.UnixNano())
	}
	return binary.BigEndian.AppendUint64(append([]byte(team), 0), at)
}

// splitAgentKey is the reverse of agentKey; ok is false for another key.
func splitAgentKey(k []byte) (team string, ended time.Time, ok bool) {
	name, rest, _ := bytes.Cut(k, []byte{0}) // no team has such a byte
	if len(rest) < 8 {
		return "", time.Time{}, false
	}
	return string(name), time.Unix(0, int64(binary.BigEndian.Uint64(rest))), true
}

// AgentEnds yields the ends of agents that match the team, session and time of a filter,
// by team and time; its other fields are ignored. A damaged record is yielded as a
// *DamageError and does not end the list. No lock is held while the caller handles an
// end.
func (j *Journal) AgentEnds(f Filter) iter.Seq2[AgentEnd, error] {
	at := []byte(nil)
	if f.Team != "" {
		at = agentKey(f.Team, f.Since)
	}
	return inChunks(at, func(at []byte) ([]finding[AgentEnd], []byte, error) { return j.agentsFrom(&f, at) })
}

// agentsFrom reads a chunk of records, and returns the key to continue from; nil at the
// end. Of each team it begins with the time of the filter.
func (j *Journal) agentsFrom(f *Filter, at []byte) (found []finding[AgentEnd], next []byte, err error) {
	err = j.view(func(tx *txn) error {
		found, next = nil, nil
		b := tx.Bucket(bucketAgents)
		if b == nil {
			return nil
		}
		c, last, n := b.Cursor(), "", 0
		for k, v := c.Seek(at); k != nil; {
			if string(k) <= last {
				return disorder(j.path, bucketAgents, k)
			}
			last = string(k)
			team, ended, ok := splitAgentKey(k)
			switch {
			case ok && f.Team != "" && team != f.Team:
				return nil
			case ok && ended.Before(f.Since):
				k, v = c.Seek(agentKey(team, f.Since))
				continue
			case n == chunk:
				next = []byte(last)
				return nil
			}
			n++
			var e AgentEnd
			switch err := openJSON(bucketAgents, k, v, &e); {
			case err != nil:
				found = append(found, finding[AgentEnd]{err: damagedRecord(j.path, bucketAgents, k, err)})
			case f.Session == nil || e.Session == *f.Session:
				found = append(found, finding[AgentEnd]{record: e})
			}
			k, v = c.Next()
		}
		return nil
	})
	return found, next, err
}

// oldAgents returns some of the agents that ended before a time.
func (j *Journal) oldAgents(before time.Time, at []byte) (keys [][]byte, last []byte, more bool, err error) {
	return j.walk(bucketAgents, at, func(k, _ []byte) bool {
		_, ended, ok := splitAgentKey(k)
		return ok && ended.Before(before)
	})
}

func removeAgent(tx *txn, k []byte) error { return del(tx, bucketAgents, k) }
