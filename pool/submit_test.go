package pool_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/pool"
)

// key is the conversation that people call s.
func key(s string) pool.Key {
	team, session, _ := strings.Cut(s, "@")
	return pool.Key{Team: team, Session: session}
}

func only(s string) func(pool.Key) bool { return func(k pool.Key) bool { return k == key(s) } }

func all(pool.Key) bool { return true }

// call is a message under way.
type call struct {
	id       string
	position int
	done     chan struct{} // closed when the fields below are final
	res      *result
	err      error
	at       time.Time // when it ended

	mu    sync.Mutex
	proc  proc // what Begin was told
	begun time.Time
}

func (c *call) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *call) wait() *call {
	<-c.done
	return c
}

var serial struct {
	sync.Mutex
	n int
}

// submit hands a message in and follows it; a refusal ends it at once.
func submit(p *testPool, k, text string, with ...func(*message)) *call {
	serial.Lock()
	serial.n++
	c := &call{id: fmt.Sprintf("m%d", serial.n), done: make(chan struct{})}
	serial.Unlock()
	turn := &message{
		Turn: pool.Turn{ID: c.id, Key: key(k)}, Text: text,
		Begin: func(_ context.Context, p proc) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.proc, c.begun = p, time.Now()
			return nil
		},
		Finish: func(res *result, err error) {
			c.res, c.err, c.at = res, err, time.Now()
			close(c.done) // a second call would panic
		},
	}
	for _, f := range with {
		f(turn)
	}
	c.id = turn.ID
	var err error
	if c.position, err = p.Submit(turn.Turn, turn.run); err != nil {
		c.err = err
		close(c.done)
	}
	return c
}

// send hands a turn in and waits for its end; when ctx ends the turn is
// cancelled.
func send(ctx context.Context, p *testPool, turn *message) (res *result, err error) {
	if turn.ID == "" {
		serial.Lock()
		serial.n++
		turn.ID = fmt.Sprintf("m%d", serial.n)
		serial.Unlock()
	}
	done := make(chan struct{})
	turn.Finish = func(r *result, e error) {
		res, err = r, e
		close(done)
	}
	if _, err := p.Submit(turn.Turn, turn.run); err != nil {
		return nil, err
	}
	select {
	case <-done:
	case <-ctx.Done():
		p.Cancel(turn.ID)
		<-done
	}
	return res, err
}

func from(parent *call) func(*message) {
	parent.mu.Lock()
	defer parent.mu.Unlock()
	id := parent.proc.ID
	return func(t *message) { t.Parent = id }
}

func fresh(t *message) { t.Fresh = true }

// mustText fails the test unless the message was answered with text.
func (c *call) mustText(t testing.TB, text string) {
	t.Helper()
	if c.wait(); c.err != nil || c.res.Text != text {
		t.Errorf("%s: got %+v, %v, want %q", c.id, c.res, c.err, text)
	}
}

func (c *call) mustErr(t testing.TB, want error) {
	t.Helper()
	if c.wait(); !errors.Is(c.err, want) {
		t.Errorf("%s: got %v, %v, want %v", c.id, c.res, c.err, want)
	}
}

// process returns the process of a key, zero if there is none.
func process(p *testPool, k string) proc {
	for _, proc := range p.Snapshot().Processes {
		if proc.Key == key(k) {
			return proc
		}
	}
	return proc{}
}

func mustState(t testing.TB, p *testPool, k string, want pool.State) {
	t.Helper()
	if got := process(p, k).State; got != want {
		t.Errorf("%s is %q, want %q", k, got, want)
	}
}

// types returns the types of all events about a process id, or about all.
func types(p *testPool, id string) map[pool.EventType]int {
	evs, _, _ := p.Events(0)
	n := map[pool.EventType]int{}
	for _, e := range evs {
		if id == "" || e.Process == id {
			n[e.Type]++
		}
	}
	return n
}
