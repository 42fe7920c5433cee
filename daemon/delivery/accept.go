package delivery

import (
	"context"
	"time"

	"iris/daemon/agents"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
)

// acceptWithin is how long a message may wait to be recorded together with its
// turn. The idle agent that was to take it may have to be replaced first.
const acceptWithin = 100 * time.Millisecond

// submit hands the message to the pool and returns once it is on disk, or with
// the reason why it was refused; then nothing of it is left. The position is its
// place in the queue, 0 when an idle agent takes it.
func (m *delivery) submit(t pool.Turn) (position int, err error) {
	m.d.inflight.live.add(m)
	position, err = m.d.o.Pool.Submit(m.turn(t), m.run)
	if err != nil {
		m.d.inflight.live.remove(m)
		return 0, err
	}
	m.startTimer()
	if position > 0 || m.eager {
		m.accept() // what a queue is taken up from needs no timer each
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

// turn fills in what the pool is to know of the message.
func (m *delivery) turn(t pool.Turn) pool.Turn {
	t.ID, t.Key, t.Fresh = m.new.ID, m.key(), m.new.Options.Fresh
	t.Variant = m.new.Options.Variant
	m.noWait = m.new.Options.NoWait || !agents.TeamSettings(m.d.o.Config(), t.Key.Team).BackgroundWait
	return t
}

// accept records a message that has to wait for its turn.
func (m *delivery) accept() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.accepted || m.refused != nil {
		return
	}
	got, err := m.d.o.Store.Accept(m.new)
	if err == nil && got.Existing { // by its id: its key was looked for before
		err = journal.ErrExists
	}
	m.take(err)
	if err != nil {
		m.d.o.Pool.Cancel(m.new.ID)
	}
}

// take notes what the journal said of a new message. A long text is left to the
// journal until it is sent. The caller holds mu.
func (m *delivery) take(err error) {
	if err != nil {
		m.refused = m.d.o.Store.NotAccepted(m.new.ID, err)
	} else {
		m.accepted = true
	}
	m.new.Body, m.new.Gone = nil, nil
	close(m.recorded)
}

// expired notes that the journal has found the deadline passed. The caller
// holds mu.
func (m *delivery) expired(err error) error {
	m.over = true
	m.end = outcome{state: journal.Expired, err: fault.Expired(m.key(), m.new.ID)}
	return err
}

// startTimer ends a message at its deadline, if it still waits then. A clock
// that was set, or a machine that slept, changes nothing: what comes too late
// for the timer is caught when the turn would begin.
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

// PersistQueued has the journal say that messages wait, those with these ids that do, and
// their senders know the ids. It waits for room on the disk until ctx ends.
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

// persistQueued has the journal say that a message waits, and its sender know its id.
func (m *delivery) persistQueued(ctx context.Context) error {
	m.mu.Lock()
	told := m.accepted
	m.mu.Unlock()
	m.accept()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !told && m.accepted {
		position, _ := m.d.o.Pool.Position(m.new.ID)
		m.notify(ipc.MessageState{ID: m.new.ID, State: "queued", Position: position})
	}
	if m.over {
		return nil
	}
	return m.notTaken(ctx, "the agent did not take it")
}
