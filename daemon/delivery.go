package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// delivery is one message on its way, from its acceptance to the record of its
// end. It exists while the message is queued or running, once for each id:
//
//	pool.Submit -> accept                  queued is on disk, its sender has the id
//	            -> begin                   running is on disk, then the first byte is written
//	            -> finish                  the end is on disk, then whoever waits sees it
//
// A message that finds its agent idle is accepted and dispatched by begin in one
// transaction. What the journal says wins: each step asks it, under mu.
type delivery struct {
	d      *Daemon
	new    journal.New            // Body is nil when the journal has it
	size   int64                  // of its text
	order  uint64                 // of its acceptance by an earlier daemon; 0 for a new one
	eager  bool                   // accept at once, also where an idle agent would
	notify func(ipc.MessageState) // the sender, if it waits
	timer  *time.Timer            // of the deadline; nil without one

	recorded chan struct{} // closed when the message is on disk, or will not be
	done     chan struct{} // closed when it has ended, or this daemon can do no more for it

	orphan atomic.Pointer[journal.Attempt] // set while it runs in an agent of an earlier daemon

	mu       sync.Mutex // one step at a time; held during a commit
	accepted bool
	running  bool
	begun    bool  // its agent has it: the program before this one has sent it
	refused  error // why it was not accepted
	over     bool  // its end is on record
	agent    *claude.Process
	offset   int64                         // where its output begins in the agent's spool
	streams  map[chan *claude.Stream]int64 // of those who want the output, once each turn begins, and after which Seq
	spool    string                        // process whose spool it may have to be settled from

	watchers map[chan<- string]bool // of its end; live.mu protects them

	// Set before done is closed.
	end  ended
	next *delivery // what runs in its place (on_unknown = retry)
}

// ended is how a message did: by the agent's word, or by the error that its
// sender is told.
type ended struct {
	state journal.State // empty when it has not ended, and stays in the journal
	res   *pool.Result
	err   *ipc.Error

	notice string // what its sender should know besides
}

// errSettled ends a turn whose message has ended before it began.
var errSettled = errors.New("the message has ended already")

func (d *Daemon) newDelivery(n journal.New) *delivery {
	return &delivery{
		d: d, new: n, size: int64(len(n.Body)),
		recorded: make(chan struct{}), done: make(chan struct{}),
		notify: func(ipc.MessageState) {},
	}
}

// key is that of its conversation.
func (m *delivery) key() pool.Key { return pool.Key{Team: m.new.Team, Session: m.new.Session} }

// acceptWithin is how long a message may wait to be recorded together with its
// turn. The idle agent that was to take it may have to be replaced first.
const acceptWithin = 100 * time.Millisecond

// submit hands the message to the pool and returns once it is on disk, or with
// the reason why it was refused; then nothing of it is left. The position is its
// place in the queue, 0 when an idle agent takes it.
func (m *delivery) submit(t *pool.Turn) (position int, err error) {
	m.d.live.add(m)
	position, err = m.d.pool.Submit(m.turn(t))
	if err != nil {
		m.d.live.remove(m)
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
			position = m.d.pool.Position(t.ID)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return position, m.refused
}

// turn fills in what the pool is to know of the message.
func (m *delivery) turn(t *pool.Turn) *pool.Turn {
	t.ID, t.Key, t.Fresh = m.new.ID, m.key(), m.new.Options.Fresh
	t.Variant, t.Blocks = (*pool.Variant)(m.new.Options.Variant), m.new.Options.Blocks
	t.Begin = func(ctx context.Context, p pool.Process) error { return m.begin(ctx, t, p) }
	t.Finish = m.finish
	return t
}

// accept records a message that has to wait for its turn.
func (m *delivery) accept() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.accepted || m.refused != nil {
		return
	}
	got, err := m.d.journal.Accept(m.new)
	if err == nil && got.Existing { // by its id: its key was looked for before
		err = journal.ErrExists
	}
	m.take(err)
	if err != nil {
		m.d.pool.Cancel(m.new.ID)
	}
}

// take notes what the journal said of a new message. A long text is left to the
// journal until it is sent. The caller holds mu.
func (m *delivery) take(err error) {
	if err != nil {
		m.refused = m.d.notRecorded(m.new.ID, err)
	} else {
		m.accepted = true
	}
	m.new.Body = nil
	close(m.recorded)
}

// begin records that the turn begins, and gives the agent its text. On record is
// only a turn whose agent was idle: while it ends one of its own its output would
// say nothing about this one, should the daemon end just then.
func (m *delivery) begin(ctx context.Context, t *pool.Turn, proc pool.Process) error {
	m.d.awaitOpen(ctx)
	if a, ok := proc.Agent.(*claude.Process); ok && !t.Begun {
		if err := a.Rest(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.begun {
		m.agent, _ = proc.Agent.(*claude.Process)
		m.open()
		return nil
	}
	if m.refused != nil {
		return m.refused
	}
	if m.over {
		return errSettled
	}
	body := m.new.Body
	if body == nil {
		err := m.d.persist(func() (err error) {
			body, err = m.d.journal.Body(m.new.ID)
			return err
		})
		if err != nil {
			return m.notBegun(err)
		}
	}
	if err := m.notTaken(m.d.patient, "the agent did not take it"); err != nil {
		return m.notBegun(err)
	}
	m.agent, _ = proc.Agent.(*claude.Process)
	if err := m.dispatch(proc); err != nil {
		return m.notBegun(err)
	}
	t.Text = string(body)
	m.running = true
	m.needs(proc.ID)
	m.open()
	if m.timer != nil {
		m.timer.Stop()
	}
	m.notify(ipc.MessageState{ID: m.new.ID, State: string(journal.Running), Process: proc.ID})
	return nil
}

// notBegun is the error of a turn that did not begin. A journal that is at its
// end is no fault of the message, which stays queued for the next daemon.
func (m *delivery) notBegun(err error) error {
	_, stopped := errors.AsType[*journal.StoppedError](err)
	if m.accepted && (stopped || errors.Is(err, journal.ErrClosed)) {
		return fmt.Errorf("%w: %w", pool.ErrClosed, err)
	}
	return err
}

// dispatch has the journal know of the attempt before the agent does. The
// caller holds mu.
func (m *delivery) dispatch(proc pool.Process) error {
	a := journal.Attempt{Process: proc.ID, Boot: m.d.boot}
	if m.agent != nil {
		a.Spool, a.Offset = m.agent.Spool()
		m.offset = a.Offset
	}
	a.At = time.Now()
	j, id := m.d.journal, m.new.ID
	if !m.accepted {
		got, err := j.AcceptAndDispatch(m.new, a)
		if err == nil && got.Existing { // nothing was dispatched
			err = journal.ErrExists
		}
		late := errors.Is(err, journal.ErrExpired)
		if late {
			m.take(nil)
			return m.expired(err)
		}
		if m.take(err); m.refused != nil && m.agent != nil {
			m.agent.Taken() // nobody will look for that turn
		}
		return m.refused
	}
	err := m.d.persist(func() error { return redispatch(j, id, a) })
	if errors.Is(err, journal.ErrExpired) {
		return m.expired(err)
	}
	return err
}

// expired notes that the journal has found the deadline passed. The caller
// holds mu.
func (m *delivery) expired(err error) error {
	m.over = true
	m.end = ended{state: journal.Expired, err: expiredError(m.key(), m.new.ID)}
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
			m.d.pool.Cancel(m.new.ID)
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
	if _, err := m.d.journal.End(m.new.ID, e); err != nil {
		m.d.journalError(err)
		return false
	}
	m.expired(nil)
	return true
}

// finish records how the turn ended. It runs before the next turn of the key
// may begin.
func (m *delivery) finish(res *pool.Result, err error) {
	m.d.count(m.size, res)
	m.d.awaitOpen(context.Background())
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer != nil {
		m.timer.Stop()
	}
	switch {
	case m.over || m.refused != nil:
	case !m.accepted: // it ended before it was recorded, and nobody has its id
		m.refused = m.d.failure(m.key(), "", err)
		close(m.recorded)
	case errors.Is(err, pool.ErrClosed):
		m.end = ended{err: m.putBack()}
	default:
		m.conclude(res, err)
	}
	m.close()
	if m.over {
		m.letGo()
		m.needs("")
	}
}

// needs keeps the spool of that process until the end of the message is on
// record. The caller holds mu.
func (m *delivery) needs(process string) {
	m.d.live.needs(m.spool, -1)
	m.spool = process
	m.d.live.needs(process, 1)
}

// putBack leaves a message that no agent has taken to the next daemon, and
// returns what its sender is told. The caller holds mu.
func (m *delivery) putBack() *ipc.Error {
	if m.notTaken(m.d.patient, "no agent had taken it when the daemon stopped") != nil {
		return lostError(m.key(), m.new.ID)
	}
	return stoppingError(m.key(), m.new.ID)
}

// conclude records the end of an accepted message. The caller holds mu.
func (m *delivery) conclude(res *pool.Result, err error) {
	m.d.approvals.explain(m.new.ID, res)
	m.end = m.verdict(res, err)
	if notice, ok := m.d.notices.LoadAndDelete(m.key()); ok {
		m.end.notice, _ = notice.(string)
	}
	if m.record(journal.End{State: m.end.state, Result: m.end.result(), At: time.Now()}) != nil {
		m.end = ended{err: lostError(m.key(), m.new.ID)}
		return
	}
	m.over = true
	if m.end.state == journal.Unknown {
		m.unknown()
	}
}

// letGo does what follows an end on record and need not keep anybody waiting.
// The caller holds mu.
func (m *delivery) letGo() {
	if m.agent != nil {
		m.agent.Taken()
	}
	if m.end.state == journal.Done {
		m.d.used(m.key(), m.end.res.SessionID, m.ownModel())
	}
}

// record records an end, however long that takes: it waits for room on the
// disk. An error means that this daemon's journal is at its end.
func (m *delivery) record(e journal.End) error {
	return m.d.persist(func() error {
		_, err := m.d.journal.End(m.new.ID, e)
		return err
	})
}

// unknown does what the sender wanted for this case. The caller holds mu.
func (m *delivery) unknown() {
	switch m.new.Options.OnUnknown {
	case "hold":
		m.d.hold(m)
	case "retry":
		m.next = m.d.again(m.new)
	}
}

// close lets everybody who waits see the end.
func (m *delivery) close() {
	m.d.live.remove(m)
	close(m.done)
}
