package delivery

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"iris/ipc"
)

// ids makes message ids that sort by time. They are unique in one daemon, even within a
// millisecond.
type ids struct {
	accepting keyLocks // by message id, until the message is on disk or refused

	mu   sync.Mutex
	last uint64 // milliseconds in the last id
	tail uint32 // 30 bits: random for the first id of a millisecond, then counted up
}

// An id that a sender has made may be this much older or newer than the daemon's clock.
const (
	oldID = time.Hour
	newID = time.Minute
)

// after makes all later ids sort after an id of an earlier daemon, even if the clock was
// set back.
func (g *ids) after(id string) {
	ms, ok := ipc.ParseID(id)
	if !ok {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last, g.tail = ms+1, 0
}

// admit reports whether an id that a sender has made keeps the order by time. If so, it
// makes all later ids sort after it.
func (g *ids) admit(id string, now time.Time) bool {
	ms, ok := ipc.ParseID(id)
	oldest, newest := uint64(now.Add(-oldID).UnixMilli()), uint64(now.Add(newID).UnixMilli())
	g.mu.Lock()
	defer g.mu.Unlock()
	if !ok || ms < oldest || ms > newest || g.last > newest+1 {
		return false
	}
	if ms >= g.last {
		g.last, g.tail = ms+1, 0
	}
	return true
}

func (g *ids) next(now time.Time) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	ms := uint64(now.UnixMilli())
	if ms > g.last {
		var b [4]byte
		rand.Read(b[:])
		g.last, g.tail = ms, binary.BigEndian.Uint32(b[:])>>3
	} else {
		g.tail++
	}
	return ipc.FormatID(g.last, g.tail)
}
