package pool_test

import (
	"testing"

	"iris/pool"
)

func TestWarmAgentIsUsedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		submit(p, "api", "one").mustText(t, "api:one")
		first := process(p, "api")
		submit(p, "api", "two").mustText(t, "api:two")
		got := process(p, "api")
		if got.ID != first.ID || got.PID != first.PID || got.Messages != 2 || got.State != pool.Idle {
			t.Errorf("got %+v, want the process %s, idle, after two messages", got, first.ID)
		}
	})
}
