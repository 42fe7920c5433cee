package ipc

import (
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// IDLetters are the letters of ids, in order.
const IDLetters = "0123456789abcdefghjkmnpqrstvwxyz"

// FormatID returns the id of a message: 16 characters that sort by the time ms, in
// milliseconds. Only 30 bits of tail are used.
func FormatID(ms uint64, tail uint32) string {
	var id [16]byte
	for i, v := 9, ms; i >= 0; i, v = i-1, v>>5 {
		id[i] = IDLetters[v&31]
	}
	for i, v := 15, tail; i >= 10; i, v = i-1, v>>5 {
		id[i] = IDLetters[v&31]
	}
	return string(id[:])
}

// ParseID returns the time in an id; false for a text that is not an id.
func ParseID(id string) (ms uint64, ok bool) {
	if len(id) != 16 {
		return 0, false
	}
	for i, c := range []byte(id) {
		v := strings.IndexByte(IDLetters, c)
		if v < 0 {
			return 0, false
		}
		if i < 10 {
			ms = ms<<5 | uint64(v)
		}
	}
	return ms, true
}

// made counts the ids that this process has made.
var made atomic.Uint32

// NewID makes the id of a message for its sender, who can then ask for the message
// whatever happened to the call. Two processes that are alive at the same time never
// make the same id; the random bits tell processes in two containers apart.
func NewID(now time.Time) string {
	made.CompareAndSwap(0, rand.Uint32())
	return FormatID(uint64(now.UnixMilli()), uint32(os.Getpid())<<8|made.Add(1)&0xff)
}
