package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/turn"
)

// delivery is one message on its way, from its acceptance to the record of its
// end. It exists while the message is queued or running, once for each id:
//
//	submit -> accept                queued is on disk, its sender has the id
//	run    -> begin                 running is on disk, then the first byte is written
//	       -> claude.Process.Send   the turn
//	       -> pool.Grant.Release    the agent is free
//	       -> finish                the end is on disk, then whoever waits sees it
//	          requeued              nobody knows how it ended: the next attempt is on disk
//
// A message that finds its agent idle is accepted and dispatched by begin in one
// transaction. What the journal says wins: each step asks it, under mu.
type delivery struct {
	d      *Dispatcher
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
	refused  error // why it was not accepted
	over     bool  // its end is on record
	agent    *claude.Process
	offset   int64                 // where its output begins in the agent's spool
	uuid     string                // by which the agent names it
	noWait   bool                  // its first answer is its end, whatever subagents do
	streams  map[chan output]int64 // of those who want the output, once each turn begins, and after which Seq
	spool    string                // process whose spool it may have to be settled from
	attempts int                   // on record
	retried  atomic.Bool           // one of them ended, and nobody knows how

	watchers map[chan<- string]bool // of its end; live.mu protects them

	end outcome // set before done is closed
}

// outcome is how a message did: by the agent's word, or by the error that its
// sender is told.
type outcome struct {
	state journal.State // empty when it has not ended, and stays in the journal
	res   *turn.Result
	err   *ipc.Error

	notice string // what its sender should know besides

	// Of one that was read in the agent's spool.
	outputEnd int64 // where its output ends; 0 for where all does
	own       []claude.OwnTurn
}

// errSettled ends a turn whose message has ended before it began.
var errSettled = errors.New("the message has ended already")

func (d *Dispatcher) newDelivery(n journal.New) *delivery {
	return &delivery{
		d: d, new: n, size: int64(len(n.Body)),
		recorded: make(chan struct{}), done: make(chan struct{}),
		notify: func(ipc.MessageState) {},
	}
}

// key is that of its conversation.
func (m *delivery) key() pool.Key { return pool.Key{Team: m.new.Team, Session: m.new.Session} }

// run takes the message to its agent, or ends it with err where it gets none. The
// next turn of the conversation begins when run has returned.
func (m *delivery) run(ctx context.Context, g *grant, err error) {
	if g == nil {
		m.finish(nil, err)
		return
	}
	res, err := m.send(ctx, g)
	switch r := g.Release(endOf(res, err)); {
	case r.Again: // with another agent
	case r.CutOff:
		m.finish(res.CutOff(), nil)
	case r.Err != nil:
		m.finish(nil, r.Err)
	default:
		m.finish(res, nil)
	}
}

// grant is an agent that a turn has for itself.
type grant = pool.Grant[*claude.Process]

// endOf is what the pool is to know of the end of a turn.
func endOf(res *turn.Result, err error) pool.End {
	if err != nil {
		return pool.End{Err: err}
	}
	return pool.End{Outcome: res.Outcome, Running: len(res.Background) > 0, Retire: res.Retire}
}

// send records that the turn begins, gives the agent its text, and waits for the end.
func (m *delivery) send(ctx context.Context, g *grant) (*turn.Result, error) {
	m.d.awaitOpen(ctx)
	if g.AlreadySent {
		m.rejoin(g.Agent)
		return g.Agent.Rejoin(ctx)
	}
	text, err := m.begin(ctx, g)
	if err == nil {
		err = g.Begin()
	}
	if err != nil {
		return nil, err
	}
	o := &m.new.Options
	return g.Agent.Send(ctx, &claude.Message{
		Text: string(text), Blocks: o.Blocks, Variant: o.Variant.Value(), NoBackgroundWait: m.noWait,
	})
}

// rejoin takes the turn up that its agent is in already.
func (m *delivery) rejoin(a *claude.Process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.agent = a
	m.open()
}

// begin records that the turn begins, and returns the text. On record is only a turn
// whose agent was idle: while it ends one of its own its output would say nothing
// about this one, should the daemon end just then.
func (m *delivery) begin(ctx context.Context, g *grant) (text []byte, err error) {
	if err := g.Agent.WaitIdle(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.refused != nil:
		return nil, m.refused
	case m.over:
		return nil, errSettled
	}
	if text, err = m.text(); err != nil {
		return nil, m.notBegun(err)
	}
	if err := m.notTaken(m.d.o.Store.Waiting(), "the agent did not take it"); err != nil {
		return nil, m.notBegun(err)
	}
	m.agent = g.Agent
	if err := m.dispatch(g.ID); err != nil {
		return nil, m.notBegun(err)
	}
	m.running = true
	m.needSpool(g.ID)
	m.open()
	if m.timer != nil {
		m.timer.Stop()
	}
	m.notify(ipc.MessageState{ID: m.new.ID, State: string(journal.Running), Process: g.ID})
	return text, nil
}

// text is what was sent. The caller holds mu.
func (m *delivery) text() (text []byte, err error) {
	if m.new.Body != nil {
		return m.new.Body, nil
	}
	err = m.d.o.Store.Persist(func() (err error) {
		text, err = m.d.o.Store.Body(m.new.ID)
		return err
	})
	return text, err
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
func (m *delivery) dispatch(process string) error {
	m.offset, m.uuid = m.agent.NextTurn()
	a := journal.Attempt{Process: process, Boot: m.d.o.Boot, NoWait: m.noWait, Offset: m.offset, UUID: m.uuid, At: time.Now()}
	j, id := m.d.o.Store, m.new.ID
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
		if m.take(err); m.refused != nil {
			m.agent.ResultRecorded() // nobody will look for that turn
		}
		m.attempts++
		return m.refused
	}
	err := m.d.o.Store.Persist(func() error { return m.d.o.Store.Dispatch(id, a) })
	if errors.Is(err, journal.ErrExpired) {
		return m.expired(err)
	}
	m.attempts++
	return err
}

// finish records how the turn ended. It runs before the next turn of the key
// may begin.
func (m *delivery) finish(res *turn.Result, err error) {
	m.d.count(m.size, res)
	m.d.awaitOpen(context.Background())
	m.mu.Lock()
	ended := m.ends(res, err)
	if ended {
		m.close()
		if m.over {
			m.release()
			m.needSpool("")
		}
	}
	m.mu.Unlock()
	if !ended {
		m.rerun()
	}
}

// ends records how the turn ended, and reports whether that is the end of the message.
// The caller holds mu.
func (m *delivery) ends(res *turn.Result, err error) bool {
	if m.timer != nil {
		m.timer.Stop()
	}
	switch {
	case m.over || m.refused != nil:
	case !m.accepted: // it ended before it was recorded, and nobody has its id
		m.refused = fault.Of(m.key(), "", err)
		close(m.recorded)
	case errors.Is(err, pool.ErrClosed):
		m.end = outcome{err: m.putBack()}
	case m.conclude(res, err):
		return false
	}
	return true
}

// needSpool keeps the spool of that process until the end of the message is on
// record. The caller holds mu.
func (m *delivery) needSpool(process string) {
	m.d.inflight.live.addSpoolNeed(m.spool, -1)
	m.spool = process
	m.d.inflight.live.addSpoolNeed(process, 1)
}

// putBack leaves a message that no agent has taken to the next daemon, and
// returns what its sender is told. The caller holds mu.
func (m *delivery) putBack() *ipc.Error {
	if m.notTaken(m.d.o.Store.Waiting(), "no agent had taken it when the daemon stopped") != nil {
		return fault.Lost(m.key(), m.new.ID)
	}
	return fault.Stopping(m.key(), m.new.ID)
}

// conclude records the end of an accepted message, and reports whether it is queued
// again. The caller holds mu.
func (m *delivery) conclude(res *turn.Result, err error) (again bool) {
	m.d.o.Approvals.Explain(m.new.ID, res)
	m.d.o.Conversations.NoteRefusal(m.key(), res)
	m.end = m.verdict(res, err)
	m.end.notice = m.d.o.Conversations.TakeNotice(m.key())
	again, err = m.record(journal.End{State: m.end.state, Result: m.end.result(), At: time.Now()})
	if err != nil {
		m.end = outcome{err: fault.Lost(m.key(), m.new.ID)}
	}
	return again
}

// release does what follows an end on record and need not keep anybody waiting.
// The caller holds mu.
func (m *delivery) release() {
	if m.agent != nil {
		m.agent.ResultRecorded()
	}
	if m.end.res != nil {
		m.d.o.Conversations.EndRewind(m.key(), m.end.res.SessionID)
	}
	if m.end.state == journal.Done {
		m.d.o.Conversations.Use(m.key(), m.end.res.SessionID, m.ownModel())
	}
}

// record records an end, however long that takes: it waits for room on the disk. Where
// nobody knows the end it does what the sender wanted then, and reports whether the
// message is queued again, which it is once at most. An error means that this daemon's
// journal is at its end. The caller holds mu.
func (m *delivery) record(e journal.End) (again bool, err error) {
	e.Retry = e.State == journal.Unknown && m.new.Options.OnUnknown == "retry" && !m.retried.Load()
	var now journal.Message
	err = m.d.o.Store.Persist(func() (err error) {
		now, err = m.d.o.Store.End(m.new.ID, e)
		return err
	})
	switch {
	case err != nil:
		return false, err
	case e.Retry:
		m.requeued(&now)
		return true, nil
	}
	m.over = true
	if e.State == journal.Unknown && m.new.Options.OnUnknown == "hold" {
		m.d.hold(m)
	}
	return false, nil
}

// requeued has the message wait for another attempt, which is on record. The caller
// holds mu.
func (m *delivery) requeued(now *journal.Message) {
	m.d.o.Log.Info("message sent again", "message", m.new.ID)
	m.release()
	m.needSpool("")
	if m.end.notice != "" {
		m.d.o.Conversations.PutNotice(m.key(), m.end.notice)
	}
	m.order, m.new.Options = now.Seq, now.Options
	m.retried.Store(true)
	m.running, m.agent, m.end = false, nil, outcome{}
	m.orphan.Store(nil)
	m.d.inflight.outputs.forget(m.new.ID)
}

// rerun hands a message that is queued again to the pool, and tells those who wait.
func (m *delivery) rerun() {
	if m.retried.Load() {
		m.notify(ipc.MessageState{ID: m.new.ID, State: string(journal.Queued), Retried: true})
	}
	if m.d.resume(m) {
		m.d.inflight.live.notifyWatchers(m)
	}
}

// close lets everybody who waits see the end.
func (m *delivery) close() {
	m.d.inflight.live.remove(m)
	close(m.done)
}

// TurnWaits tells whoever has sent a message why its turn does not begin.
func (d *Dispatcher) TurnWaits(message, process, on string) {
	if m := d.inflight.live.get(message); m != nil {
		m.notify(ipc.MessageState{ID: m.new.ID, State: string(journal.Running), Process: process, WaitsFor: on})
	}
}
