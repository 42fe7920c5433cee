package daemon

import (
	"testing"

	"iris/config/sys"
	"iris/pool"
)

func TestMemoryLeftForAgents(t *testing.T) {
	const gib = 1 << 30
	for _, test := range []struct {
		name string
		m    sys.MemoryState
		want pool.Memory
	}{
		{"unknown", sys.MemoryState{Stalled: -1}, pool.Memory{Spare: pool.UnknownSpare}},
		{"reserve of a small machine", sys.MemoryState{Total: 2000, Available: 1000, Stalled: 0}, pool.Memory{Spare: 900}},
		{"reserve of a large machine", sys.MemoryState{Total: 100 * gib, Available: 10 * gib, Stalled: 9.99}, pool.Memory{Spare: 9 * gib}},
		{"processes wait", sys.MemoryState{Total: 2000, Available: 1000, Stalled: 10}, pool.Memory{Spare: 900, Pressure: true}},
		{"little left, and none waits", sys.MemoryState{Total: 2000, Available: 50, Stalled: 0}, pool.Memory{Spare: -50}},
		{"little left, and the kernel does not tell", sys.MemoryState{Total: 2000, Available: 50, Stalled: -1}, pool.Memory{Spare: -50, Pressure: true}},
		{"enough left, and the kernel does not tell", sys.MemoryState{Total: 2000, Available: 150, Stalled: -1}, pool.Memory{Spare: 50}},
	} {
		if got := memoryLeft(test.m); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}
