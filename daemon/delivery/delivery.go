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

// delivery is a message from its acceptance to the record of its end. It exists while
// the message is queued or running; each id has one:
//
//	submit -> accept                queued is on disk, its sender has the id
//	run    -> begin                 running is on disk, then the first byte is written
//	       -> claude.Process.Send   the turn
//	       -> pool.Grant.Release    the agent is free
//	       -> finish                the end is on disk, then the waiting calls see it
//	          requeued              the end is unknown, and the next attempt is on disk
//
// For a message whose agent is idle, begin accepts and dispatches it in one transaction.
// The journal decides: each step asks it, under mu.
type delivery struct {
	d      *Dispatcher
	new    journal.New            // without Body once the journal has it
	size   int64                  // of the text
	order  uint64                 // place in the order of acceptance, from an earlier daemon; 0 for a new message
	eager  bool                   // accept at once, even if an idle agent could take it
	notify func(ipc.MessageState) // tells a waiting sender
	timer  *time.Timer            // for the deadline; nil without one

	recorded chan struct{} // closed when the message is on disk, or is refused
	done     chan struct{} // closed when it has ended, or this daemon can do no more for it

	orphan atomic.Pointer[journal.Attempt] // set while the message runs in an orphan
	sent   atomic.Int64                    // messages that its turn has sent

	mu       sync.Mutex // held for each step, including its commit
	accepted bool
	running  bool  // in agent
	refused  error // why the message was not accepted
	over     bool  // the end is on record
	agent    *claude.Process
	offset   int64                 // where the output begins in the agent's spool
	uuid     string                // the agent's name for the turn
	noWait   bool                  // the first answer is the end, even if subagents still work
	streams  map[chan output]int64 // clients that get the output when a turn begins, each with its last Seq
	spool    string                // process whose spool may be needed to settle the message
	attempts int                   // on record
	retried  atomic.Bool           // an attempt ended, and nobody knows how

	watchers map[chan<- string]bool // get the id when the message ends or is requeued; protected by live.mu

	end outcome // set before done is closed
}

// outcome is the end of a message: the agent's result, or the error for the sender.
type outcome struct {
	state journal.State // empty if the message has not ended and stays in the journal
	res   *turn.Result
	err   *ipc.Error

	notice string // what else the sender should know

	// Set if the outcome was read from the spool.
	outputEnd int64 // where the output of the turn ends; 0 for the end of the spool
	own       []claude.OwnTurn
}

// errSettled ends a turn whose message ended before the turn began.
var errSettled = errors.New("the message has ended already")

func (d *Dispatcher) newDelivery(n journal.New) *delivery {
	return &delivery{
		d: d, new: n, size: int64(len(n.Body)),
		recorded: make(chan struct{}), done: make(chan struct{}),
		notify: func(ipc.MessageState) {},
	}
}

// key returns the key of the message's conversation.
func (m *delivery) key() pool.Key { return pool.Key{Team: m.new.Team, Session: m.new.Session} }

// run gives the message to the agent of g. If g is nil, it ends the message with err.
// The next turn of the conversation begins after run has returned.
func (m *delivery) run(ctx context.Context, g *grant, err error) {
	if g == nil {
		m.finish(nil, err)
		return
	}
	res, err := m.send(ctx, g)
	if res != nil && res.Outcome == turn.RateLimited { // the agent may be of an iris that knew no accounts
		m.d.o.Agents.KnowAccount(m.new.Team)
	}
	r := g.Release(endOf(res, err))
	m.d.heedTurn(m.new.Team, res)
	switch {
	case r.Again: // with another agent
	case r.CutOff:
		m.finish(res.CutOff(), nil)
	case r.Err != nil:
		m.finish(nil, r.Err)
	case res.NothingDone && ctx.Err() != nil: // nobody wants a second attempt
		ended := *res
		ended.NothingDone = false
		m.finish(&ended, nil)
	default:
		m.finish(res, nil)
	}
}

// grant is an agent that the pool has given to one turn.
type grant = pool.Grant[*claude.Process]

// endOf is what the pool is told about the end of a turn.
func endOf(res *turn.Result, err error) pool.End {
	if err != nil {
		return pool.End{Err: err, NoRoom: claude.LacksRoom(err)}
	}
	end := pool.End{Outcome: res.Outcome, Cost: turn.Dollars(res.CostUSD), Running: len(res.Background) > 0, Retire: res.Retire}
	if res.Outcome == turn.RateLimited {
		end.Limit = limitOf(res)
	}
	return end
}

// send records that the turn begins, sends the text to the agent, and waits for the end.
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

// rejoin goes on with a turn that the agent has begun already.
func (m *delivery) rejoin(a *claude.Process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.agent, m.running = a, true
	m.open()
}

// begin records that the turn begins, and returns the text. It first waits until the
// agent is idle: if the daemon ended while the agent finishes a turn of its own, the spool
// would say nothing about this one.
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
	if text, err = m.text(); claude.LacksRoom(err) { // another agent gets it when there is room
		return nil, fmt.Errorf("%w: %w", pool.ErrNotDispatched, err)
	} else if err != nil {
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
	m.notify(ipc.MessageState{ID: m.new.ID, State: string(journal.Running), Process: g.ID})
	return text, nil
}

// text returns the text of the message. The caller holds mu.
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

// notBegun is the error of a turn that did not begin. If the journal has stopped, the
// message stays queued for the next daemon.
func (m *delivery) notBegun(err error) error {
	_, stopped := errors.AsType[*journal.StoppedError](err)
	if m.accepted && (stopped || errors.Is(err, journal.ErrClosed)) {
		return fmt.Errorf("%w: %w", pool.ErrClosed, err)
	}
	return err
}

// dispatch records the attempt before the agent gets the message. The caller holds mu.
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
			m.agent.ResultRecorded() // nobody will need the record of that turn
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

// finish records how the turn ended. The next turn of the key begins after it.
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

// ends records how the turn ended, and reports whether the message has ended too. The
// caller holds mu.
func (m *delivery) ends(res *turn.Result, err error) bool {
	if m.timer != nil {
		m.timer.Stop()
	}
	switch {
	case m.over || m.refused != nil:
	case !m.accepted: // it ended before it was recorded, and no sender has its id
		m.refused = fault.Of(m.key(), "", err)
		close(m.recorded)
	case errors.Is(err, pool.ErrClosed):
		m.end = outcome{err: m.putBack()}
	case m.conclude(res, err):
		return false
	}
	return true
}

// needSpool keeps the spool of a process until the end of the message is on record, and
// no longer the spool of the process before it. The caller holds mu.
func (m *delivery) needSpool(process string) {
	m.d.inflight.live.addSpoolNeed(m.spool, -1)
	m.spool = process
	m.d.inflight.live.addSpoolNeed(process, 1)
}

// putBack leaves a message that no agent has taken to the next daemon, and returns the
// error for the sender. The caller holds mu.
func (m *delivery) putBack() *ipc.Error {
	if m.notTaken(m.d.o.Store.Waiting(), "no agent had taken it when the daemon stopped") != nil {
		return fault.Lost(m.key(), m.new.ID)
	}
	return fault.Stopping(m.key(), m.new.ID)
}

// conclude records the end of an accepted message, and reports whether the message is
// queued again. The caller holds mu.
func (m *delivery) conclude(res *turn.Result, err error) (again bool) {
	if m.putsOff(res) {
		if err := m.putOff(); err != nil {
			m.end = outcome{err: fault.Lost(m.key(), m.new.ID)}
			return false
		}
		return true
	}
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

// release does what nobody needs to wait for after the end is on record: it tells the agent
// and updates the conversation. The caller holds mu.
func (m *delivery) release() {
	if m.agent != nil {
		m.agent.ResultRecorded()
	}
	if m.end.res != nil {
		m.d.o.Conversations.EndRewind(m.key(), m.end.res.SessionID)
	}
	if m.end.state == journal.Done {
		m.d.o.Conversations.Use(m.key(), m.end.res, m.ownModel())
	}
}

// record records an end; on a full disk it waits for space. After an unknown end it does
// as the sender's on_unknown says, and reports whether the message is queued again, which
// happens at most once. An error means that the journal has stopped. The caller holds mu.
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
	m.reportEnd()
	if e.State == journal.Unknown && m.new.Options.OnUnknown == "hold" {
		m.d.holdUnknown(m)
	}
	return false, nil
}

// requeued makes the message ready for another attempt, which is on record. The caller
// holds mu.
func (m *delivery) requeued(now *journal.Message) {
	m.d.o.Log.Info("message sent again", "message", m.new.ID)
	m.retried.Store(true)
	m.anew(now)
}

// anew forgets the attempt that has ended. The caller holds mu.
func (m *delivery) anew(now *journal.Message) {
	m.release()
	m.needSpool("")
	m.d.o.Conversations.PutNotice(m.key(), m.end.notice)
	m.order, m.new.Options = now.Seq, now.Options
	m.running, m.agent, m.end = false, nil, outcome{}
	m.orphan.Store(nil)
	m.d.inflight.outputs.forget(m.new.ID)
}

// rerun submits a message that is queued again, and tells the waiting calls.
func (m *delivery) rerun() {
	if m.retried.Load() {
		m.notify(ipc.MessageState{ID: m.new.ID, State: string(journal.Queued), Retried: true})
	}
	if m.d.resume(m) {
		m.d.inflight.live.notifyWatchers(m)
		m.heedLimit()
	}
}

// close ends the delivery: the waiting calls see the end.
func (m *delivery) close() {
	m.d.inflight.live.remove(m)
	close(m.done)
}
