package delivery

import (
	"context"
)

// notTaken requeues a dispatched message that its agent has not taken. Until that is on
// record, the spool of the agent shows it. It waits for space on the disk until ctx ends.
// The caller holds mu.
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
	m.agent.ResultRecorded()
	return nil
}

// awaitOpen waits until the daemon is up or ends, or until ctx ends. During recovery no
// turn may begin or end, and nothing waits for space on the disk: an end that cannot be
// recorded would be left to the next daemon.
func (d *Dispatcher) awaitOpen(ctx context.Context) {
	select {
	case <-d.o.Opened:
	case <-d.o.Serving.Done():
	case <-ctx.Done():
	}
}
