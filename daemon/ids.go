package daemon

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"sync"
	"time"
)

// ids makes message ids: 16 characters that sort by time, unique in one daemon
// even within a millisecond.
type ids struct {
	mu   sync.Mutex
	last uint64 // milliseconds of the last id
	tail uint32 // 30 bits: random for the first id of a millisecond, then counted up
}

const idLetters = "0123456789abcdefghjkmnpqrstvwxyz"

// after has all ids sort after one that an earlier daemon made, whatever the
// clock says now.
func (g *ids) after(id string) {
	if len(id) != 16 {
		return
	}
	var ms uint64
	for _, c := range []byte(id[:10]) {
		i := strings.IndexByte(idLetters, c)
		if i < 0 {
			return
		}
		ms = ms<<5 | uint64(i)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last, g.tail = ms+1, 0
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
	var id [16]byte
	for i, v := 9, g.last; i >= 0; i, v = i-1, v>>5 {
		id[i] = idLetters[v&31]
	}
	for i, v := 15, g.tail; i >= 10; i, v = i-1, v>>5 {
		id[i] = idLetters[v&31]
	}
	return string(id[:])
}
