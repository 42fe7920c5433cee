package delivery

import (
	"context"
)

// notTaken has the journal know that the agent which a message was dispatched to
// has not taken it, if there is one. Until then its spool shows that. It waits for
// room on the disk until ctx ends. The caller holds mu.
func (m *delivery) notTaken(ctx context.Context, why string) error {
	if !m.running {
		return nil
	}
	err := m.d.o.Store.PersistUntil(ctx, func() error { return m.d.o.Store.Requeue(m.new.ID, why) })
	if err != nil {
		return err
	}
	m.running = false
	m.needSpool("")
	if m.agent != nil {
		m.agent.ResultRecorded()
	}
	return nil
}

// awaitOpen waits until the daemon is up, or ends without that, or ctx ends. Before,
// the recovery does not expect a turn to begin or to end, and nothing waits for room
// on the disk: what cannot be recorded then would be left to the next daemon.
func (d *Dispatcher) awaitOpen(ctx context.Context) {
	select {
	case <-d.o.Opened:
	case <-d.o.Serving.Done():
	case <-ctx.Done():
	}
}
