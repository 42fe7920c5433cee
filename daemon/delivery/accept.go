package delivery

import (
	"context"
	"time"

	"iris/daemon/agents"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/pool"
)

// acceptWithin is how long a message for an idle agent waits to be recorded together with
// its turn. It may take longer if the agent must be replaced first.
const acceptWithin = 100 * time.Millisecond

// submit gives the message to the pool and returns when it is on disk. If it returns an
// error, the message was refused and nothing of it is kept. The position is the place in
// the queue, 0 if an idle agent takes the message.
func (m *delivery) submit(t pool.Turn) (position int, err error) {
	m.d.inflight.live.add(m)
	t = m.turn(t)
	m.d.knowAccounts(t)
	position, err = m.d.o.Pool.Submit(t, m.run)
	if err != nil {
		m.d.inflight.live.remove(m)
		return 0, err
	}
	m.startTimer()
	if position > 0 || m.eager {
		m.accept() // without a timer for each message
	} else {
		select {
		case <-m.recorded:
		case <-time.After(acceptWithin):
			m.accept()
			position, _ = m.d.o.Pool.Position(m.new.ID)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return position, m.refused
}

// turn fills in what the pool must know about the message.
func (m *delivery) turn(t pool.Turn) pool.Turn {
	t.ID, t.Key, t.Fresh = m.new.ID, m.key(), m.new.Options.Fresh
	t.Variant, t.Spare, t.Sender = m.new.Options.Variant, m.spare(), m.new.Options.Sender
	m.noWait = m.new.Options.NoWait || !agents.TeamSettings(m.d.o.Config(), t.Key.Team).BackgroundWait
	return t
}

// accept records a message that waits for its turn.
func (m *delivery) accept() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.accepted || m.refused != nil {
		return
	}
	got, err := m.d.o.Store.Accept(m.new)
	if err == nil && got.Existing { // found by its id: find has looked for the key
		err = journal.ErrExists
	}
	m.take(err)
	if err != nil {
		m.d.o.Pool.Cancel(m.new.ID)
	}
}

// take notes whether the journal accepted a new message. The text is dropped: it is read
// from the journal when it is sent. The caller holds mu.
func (m *delivery) take(err error) {
	if err != nil {
		m.refused = m.d.o.Store.NotAccepted(m.new.ID, err)
	} else {
		m.accepted = true
	}
	m.new.Body, m.new.Gone = nil, nil
	close(m.recorded)
}

// expired notes that the deadline has passed, as the journal says. The caller holds mu.
func (m *delivery) expired(err error) error {
	m.over = true
	m.end = outcome{state: journal.Expired, err: fault.Expired(m.key(), m.new.ID)}
	m.reportEnd()
	return err
}

// startTimer expires the message at its deadline, if it still waits then. If a clock
// change or sleep of the machine makes the timer late, the journal refuses to dispatch the
// message.
func (m *delivery) startTimer() {
	deadline := m.new.Options.Deadline
	if deadline.IsZero() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over || m.running || m.refused != nil {
		return
	}
	m.timer = time.AfterFunc(time.Until(deadline), func() {
		if m.expire() {
			m.d.o.Pool.Cancel(m.new.ID)
		}
	})
}

// expire records that the deadline has passed, unless the turn has begun.
func (m *delivery) expire() bool {
	<-m.recorded
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.accepted || m.running || m.over {
		return false
	}
	e := journal.End{State: journal.Expired, At: time.Now()}
	if _, err := m.d.o.Store.End(m.new.ID, e); err != nil {
		m.d.o.Store.Heed(err)
		return false
	}
	m.expired(nil)
	return true
}

// PersistQueued records that the messages with these ids wait, and tells their senders the
// ids. It waits for space on the disk until ctx ends.
func (d *Dispatcher) PersistQueued(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if m := d.inflight.live.get(id); m != nil {
			if err := m.persistQueued(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// persistQueued records that the message waits, and tells the sender its id.
func (m *delivery) persistQueued(ctx context.Context) error {
	m.mu.Lock()
	told := m.accepted
	m.mu.Unlock()
	m.accept()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !told && m.accepted {
		m.notify(m.d.queuedState(m.new.ID))
	}
	if m.over {
		return nil
	}
	return m.notTaken(ctx, "the agent did not take it")
}
