package delivery

import (
	"context"
	"errors"
	"sync"
	"time"

	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// positionEvery is the shortest time between two reports of a position in the queue.
const positionEvery = 100 * time.Millisecond

// Stream answers message.stream. It reads the output from the agent's spool, no faster than
// the client takes it.
func (d *Dispatcher) Stream(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.Stream
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if p.After < 0 {
		return nil, fault.BadOption("after is %d: it must be the seq of an output, or 0", p.After)
	}
	s := d.newStreamer(c, p.Partial, p.Place)
	defer s.close()
	s.id, s.seq = p.ID, p.After
	m := d.findLive(p.ID)
	if m == nil {
		return s.ended(ctx)
	}
	defer d.o.Approvals.Watch(c, p.Approvals, m.new.ID)()
	if err := s.await(ctx, m); err != nil {
		return nil, err
	}
	return ipc.StreamEnd{Seq: s.seq}, nil
}

// A streamer waits for the end of a message for one client, and sends it the output
// meanwhile. The zero streamer with a call sends none. It belongs to the goroutine of the
// call.
type streamer struct {
	d       *Dispatcher
	call    *ipc.Call
	partial bool
	place   bool

	id     string
	seq    int64
	missed int64            // end of a gap after seq that the client has not been told of; 0 without one
	told   ipc.MessageState // the last position that was sent
	inside bool             // the client has had a part of a long line

	opened chan output // buffers the output of the last attempt that has begun; nil if none is sent
	now    output      // has no stream before the first attempt begins
	whole  bool        // all output of now was sent
}

func (d *Dispatcher) newStreamer(c *ipc.Call, partial, place bool) *streamer {
	return &streamer{d: d, call: c, partial: partial, place: place, opened: make(chan output, 1)}
}

// close ends the reading. Output that was not sent is kept for a while: the client may
// reconnect. The streamer must be detached from its delivery.
func (s *streamer) close() {
	switch {
	case s.now.Stream == nil:
	case s.whole:
		s.now.Close()
	default:
		s.d.inflight.outputs.keep(s.id, s.now)
	}
	select {
	case st := <-s.opened:
		st.Close()
	default:
	}
}

// use switches to the output of another attempt.
func (s *streamer) use(o output) {
	if s.now.Stream != nil {
		s.now.Close()
	}
	s.now, s.whole, s.inside = o, false, false
	s.seq = o.seq(o.after(s.seq))
}

// An outputError says why output was not sent. The message is not affected.
type outputError struct{ err error }

func (e *outputError) Error() string { return e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

// await waits until a message has ended: then m.end has a state and the output was sent. It
// returns an *outputError, the error of a daemon that can do no more for the message, or
// that of ctx.
func (s *streamer) await(ctx context.Context, m *delivery) error {
	if s.opened != nil {
		m.attach(s.opened, s.seq)
		defer m.detach(s.opened)
	}
	s.id = m.new.ID
	news, stop := s.news(ctx)
	defer stop()
	var more <-chan struct{}
	for {
		var err error
		select {
		case st := <-s.opened:
			err = s.begin(m, st)
			stop()
			more, news = st.More(), nil
		case <-more:
			err = s.read(s.now.Read)
		case <-news:
			s.notifyPosition()
		case <-m.done:
			return s.finish(ctx, m)
		case <-s.d.o.TurnsLeft:
			return s.d.reconnectLater(ctx, fault.Left(m.key(), m.new.ID))
		case <-ctx.Done():
			select {
			case <-m.done: // the daemon stops, and the stop has ended this turn
				return s.finish(ctx, m)
			default:
				return ctx.Err()
			}
		}
		if err != nil {
			return &outputError{err}
		}
	}
}

// begin switches to the output of an attempt that begins.
func (s *streamer) begin(m *delivery, o output) (err error) {
	if s.inside { // the rest of the line will never be written
		s.missed = o.seq(0)
		err = s.gap()
	}
	s.use(o)
	if o.attempt > 1 {
		s.call.Notify(ipc.NotifyState, s.d.stateOf(m))
	}
	return err
}

// finish sends the rest of the output of a message that has just ended, or that this daemon
// has given up.
func (s *streamer) finish(ctx context.Context, m *delivery) error {
	select {
	case st := <-s.opened:
		s.use(st)
	default:
	}
	var err error
	switch {
	case s.now.Stream != nil:
		err = s.last()
	case s.opened != nil && m.end.state != "":
		err = s.rest()
	}
	switch {
	case m.end.state == "":
		return s.d.reconnectLater(ctx, m.end.err)
	case err != nil:
		return &outputError{err}
	}
	return nil
}

// ended answers for a message that is not live.
func (s *streamer) ended(ctx context.Context) (any, error) {
	if _, err := s.d.endedState(ctx, s.id); err != nil {
		return nil, err
	}
	if err := s.rest(); err != nil {
		return nil, err
	}
	return ipc.StreamEnd{Seq: s.seq}, nil
}

// rest sends the kept output of a message that has ended. If none is kept, it reports a
// gap, unless no turn of the message ever began.
func (s *streamer) rest() error {
	st, err := s.d.inflight.outputs.reopen(s.id, s.seq)
	if err != nil {
		s.d.o.Log.Warn("output not read", "message", s.id, "err", err)
	}
	if st.Stream != nil {
		s.use(st)
		return s.last()
	}
	if m, err := s.d.o.Store.Message(s.id); err == nil && len(m.Attempts) == 0 {
		return nil
	}
	return s.call.NotifyWait(ipc.NotifyGap, ipc.OutputGap{ID: s.id, After: s.seq})
}

// read sends the output that from reads.
func (s *streamer) read(from func(func(claude.Piece) error) error) error {
	if err := from(s.emit); err != nil {
		return err
	}
	return s.gap()
}

// last sends the rest of the output of a turn that has ended.
func (s *streamer) last() error {
	err := s.read(s.now.Finish)
	s.whole = err == nil
	return err
}

// gap tells the client which output it has missed, if any.
func (s *streamer) gap() error {
	if s.missed == 0 {
		return nil
	}
	g := ipc.OutputGap{ID: s.id, After: s.seq, Next: s.missed}
	s.seq, s.missed = s.missed, 0
	return s.call.NotifyWait(ipc.NotifyGap, g)
}

// emit sends a piece of the output, or leaves out its line. It waits while the client is
// slow.
func (s *streamer) emit(p claude.Piece) error {
	if p.Gap {
		s.missed, s.inside = s.now.seq(p.Seq), false
		return nil
	}
	if err := s.gap(); err != nil {
		return err
	}
	if !s.inside && !s.wants(&p) {
		return claude.ErrLeftOut
	}
	whole := !s.inside && !p.More
	s.inside = p.More
	o := ipc.Output{ID: s.id}
	if !p.More {
		s.seq = s.now.seq(p.Seq)
		o.Seq = s.seq
	}
	if whole && ipc.Embeds(p.Data) {
		o.Line = p.Data
	} else {
		o.Part = p.Data
	}
	return s.call.NotifyWait(ipc.NotifyOutput, o)
}

// wants reports whether a line is for the client.
func (s *streamer) wants(p *claude.Piece) bool {
	switch p.Type {
	case "control_response", "command_lifecycle": // claude -p writes no such lines
		return false
	case "stream_event":
		return s.partial
	case "system":
		return p.Subtype != "session_state_changed" && (s.partial || !claude.OfPartial(p.Data))
	}
	return true
}

// news returns a channel that gets a value when the position of a waiting message may have
// changed, at most once each positionEvery. It is nil if the client did not ask for
// positions.
func (s *streamer) news(ctx context.Context) (news <-chan struct{}, stop func()) {
	if !s.place {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	c := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() { s.d.nudge(ctx, c) })
	return c, func() { cancel(); wg.Wait() }
}

// nudge sends a value to c after events of the pool, until ctx ends.
func (d *Dispatcher) nudge(ctx context.Context, c chan<- struct{}) {
	sub := d.o.Pool.Subscribe(0)
	defer func() { sub.Close() }()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if _, err := sub.Next(ctx); errors.Is(err, pool.ErrSlow) {
			sub = d.o.Pool.Subscribe(0)
		} else if err != nil {
			return
		}
		sub.Skip()
		select {
		case c <- struct{}{}:
		default:
		}
		timer.Reset(positionEvery)
	}
}

// notifyPosition tells the client the position of the message, if it has changed.
func (s *streamer) notifyPosition() {
	st := ipc.MessageState{ID: s.id, State: string(journal.Queued)}
	st.Position, st.WaitsFor = s.d.o.Pool.Position(s.id)
	if st.Position > 0 && st != s.told {
		s.told = st
		s.call.Notify(ipc.NotifyState, st)
	}
}
