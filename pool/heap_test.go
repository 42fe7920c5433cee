package pool

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHeap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		w := &world{T: rt}
		var h heap[*alarm]
		in := map[*alarm]bool{}
		all := make([]*alarm, 60)
		for i := range all {
			all[i] = &alarm{}
		}
		for range 300 {
			a := all[r.IntN(len(all))]
			if r.IntN(3) == 0 {
				h.remove(a)
				delete(in, a)
			} else {
				a.at = time.Unix(r.Int64N(1000), 0)
				h.put(a)
				in[a] = true
			}
			checkHeap(w, &h)
			if len(in) != h.len() {
				rt.Fatalf("%d items, want %d", h.len(), len(in))
			}
		}
	})
}
