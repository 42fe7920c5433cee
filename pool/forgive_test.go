package pool_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"iris/pool"
)

// A person has changed something, perhaps the cause of the failures.
func TestForgivenStartsAreTriedAtOnce(t *testing.T) {
	limits := pool.Limits{MaxProcesses: 1}
	for name, change := range map[string]func(*testPool){
		"forgive":     (*testPool).Forgive,
		"reconfigure": func(p *testPool) { p.Reconfigure(limits) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				var works atomic.Bool
				h.startErr = func(pool.Key, int) error {
					if works.Load() {
						return nil
					}
					return errNoLuck
				}
				p := h.pool(limits, pool.Settings{})
				submit(p, "a", "1s").wait() // opens the breaker
				submit(p, "b", "1s")        // waits for its second try
				synctest.Wait()
				works.Store(true)
				change(p)
				if st := p.Snapshot(); len(st.Broken) != 0 {
					t.Errorf("still broken: %+v", st.Broken)
				}
				submit(p, "a", "1s").mustText(t, "a:1s")
			})
		})
	}
}
