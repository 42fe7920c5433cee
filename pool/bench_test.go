package pool_test

import (
	"fmt"
	"testing"

	"iris/pool"
)

// instant returns a pool of agents that take no time for anything.
func instant(b *testing.B, max int) *testPool {
	h := newHouse(b)
	h.start = 0
	return h.pool(pool.Limits{MaxProcesses: max}, pool.Settings{})
}

// A message to an idle agent: what the pool adds to a turn.
func BenchmarkGrant(b *testing.B) {
	p := instant(b, 1)
	turn := &message{Turn: pool.Turn{Key: key("a")}, Text: "0s"}
	send(b.Context(), p, turn)
	b.ReportAllocs()
	for b.Loop() {
		send(b.Context(), p, turn)
	}
}

// Ten times as many teams as places: every message needs a victim and a start.
func BenchmarkChurn(b *testing.B) {
	const max = 10
	p := instant(b, max)
	turns := make([]*message, 10*max)
	for i := range turns {
		turns[i] = &message{Turn: pool.Turn{Key: key(fmt.Sprint("team", i))}, Text: "0s"}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		send(b.Context(), p, turns[i%len(turns)])
		i++
	}
}
