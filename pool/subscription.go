package pool

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrSlow ends a subscription whose reader was so slow that it lost events. The
// reader may subscribe again after the last event that it has seen.
var ErrSlow = errors.New("events came faster than they were read")

// feed holds the events and their readers.
type feed struct {
	ring
	subs     map[*Subscription]struct{}
	notified uint64 // last event that the subscribers were told of
	closed   bool   // no event will come
}

// Subscription is a reader's place in the events. One goroutine uses it.
type Subscription struct {
	Missed uint64 // events that were no longer kept when it began

	mu    *sync.Mutex // the pool's: protects feed, seen, rests and err
	feed  *feed
	seen  uint64
	rests bool
	more  chan struct{} // has one element if there is something to read
	err   error
}

// Events returns the kept events after a Seq, the Seq of the last one, and how many
// events in between are no longer kept.
func (p *Pool[A]) Events(after uint64) (evs []Event, last, missed uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &p.table.events
	next, missed := r.from(after)
	for e, ok := r.after(next); ok; e, ok = r.after(next) {
		evs = append(evs, e)
		next = e.Seq
	}
	return evs, r.last, missed
}

// Subscribe returns a Subscription after a Seq: first the kept events, then new ones.
// The pool never waits for a reader. Close it.
func (p *Pool[A]) Subscribe(after uint64) *Subscription {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &p.table.events
	s := &Subscription{mu: &p.mu, feed: f, more: make(chan struct{}, 1)}
	s.seen, s.Missed = f.from(after)
	if f.subs == nil {
		f.subs = map[*Subscription]struct{}{}
	}
	f.subs[s] = struct{}{}
	return s
}

// After is the Seq of the last event that was read, or the Seq before the first.
func (s *Subscription) After() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// Next returns the next event, and waits for it if needed. The error is ErrSlow if
// events were lost since the last call, ErrClosed after the last event of a closed
// pool or after Close, else the error of ctx.
func (s *Subscription) Next(ctx context.Context) (Event, error) {
	for {
		e, ok, err := s.read()
		if ok || err != nil {
			return e, err
		}
		select {
		case <-s.more:
		case <-ctx.Done():
			return Event{}, context.Cause(ctx)
		}
	}
}

// Ready is Next without waiting; false if no event is there yet, or ever.
func (s *Subscription) Ready() (Event, bool) {
	e, ok, _ := s.read()
	return e, ok
}

// Rest waits until d has passed, ctx ends, no event will come, or so many are unread that
// a slow reader might lose some.
func (s *Subscription) Rest(ctx context.Context, d time.Duration) {
	s.setRests(true)
	defer s.setRests(false)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.more:
	case <-ctx.Done():
	}
}

func (s *Subscription) setRests(rests bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rests = rests
	select {
	case <-s.more: // Next reads before it waits
	default:
	}
	s.wake()
}

// wake nudges the reader if it is to look; the caller must hold the pool's lock.
func (s *Subscription) wake() {
	f := s.feed
	if unread := f.last - s.seen; f.closed || unread > keptEvents/4 || unread > 0 && !s.rests {
		s.nudge()
	}
}

// Skip passes over all events that there are.
func (s *Subscription) Skip() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = s.feed.last
}

func (s *Subscription) read() (Event, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.seen < s.feed.kept() {
		s.end(ErrSlow)
	}
	if s.err != nil {
		return Event{}, false, s.err
	}
	e, ok := s.feed.after(s.seen)
	if ok {
		s.seen = e.Seq
	} else if s.feed.closed {
		s.end(ErrClosed)
	}
	return e, ok, s.err
}

// end removes the reader from the list; the caller must hold the pool's lock.
func (s *Subscription) end(err error) {
	if s.err == nil {
		s.err = err
	}
	delete(s.feed.subs, s)
}

// Close ends the subscription. It may be called again, and while Next waits.
func (s *Subscription) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(ErrClosed)
	s.nudge()
}

func (s *Subscription) nudge() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// notify wakes the readers if there is news; the caller must hold the lock.
func (f *feed) notify() {
	if f.notified == f.last && !f.closed {
		return
	}
	f.notified = f.last
	for s := range f.subs {
		s.wake()
	}
}
