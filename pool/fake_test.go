package pool_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"iris/pool"
	"iris/pool/turn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house makes fake agents and watches over what no pool may ever do: have more
// agents than allowed, or two of one key, counting from the start of Start to
// the end of the process. Set the fields before the pool is used.
type house struct {
	t     testing.TB
	max   int           // processes at a time; 0: not checked
	start time.Duration // how long Start takes
	stop  time.Duration // how long Stop takes
	late  bool          // Start returns an agent although its context has ended
	grow  int64         // memory that each turn adds

	memory func() pool.Memory  // of the machine
	size   func(a *fake) int64 // memory of an agent, in place of grow

	background []string // what each turn leaves behind beside it

	startErr func(k pool.Key, nth int) error // of the nth start of a key, from 1
	stale    func(a *fake) string

	variantErr func(v turn.Variant) error // of a start
	setsMode   bool                       // agents set the permission mode of a turn
	check      func(ctx context.Context, a *fake, ping bool) error
	send       func(ctx context.Context, a *fake, t *message) (*result, error)

	mu       sync.Mutex
	agents   []*fake
	live     map[pool.Key]int
	total    int
	starting int
	peak     int // of starting
	starts   map[pool.Key]int
}

var errDied = fmt.Errorf("the agent died: %w", pool.ErrUnknown)

type (
	testPool = pool.Pool[*fake]
	proc     = pool.Process[*fake]
)

// message is a turn as the tests write it.
type message struct {
	pool.Turn
	Text   string
	Begin  func(context.Context, proc) error // before the first byte; its error gives the turn up
	Finish func(*result, error)              // exactly once
	Limit  *pool.Limit                       // what the turn reports of its account
}

// result is the word of a fake.
type result struct {
	Outcome    turn.Outcome
	Text       string
	Background []string
	Retire     string
}

// run takes the message to an agent, as any user of the pool does.
func (m *message) run(ctx context.Context, g *pool.Grant[*fake], err error) {
	var res *result
	if err == nil {
		if res, err = m.send(ctx, g); m.release(g, &res, &err) {
			return
		}
	}
	if m.Finish != nil {
		m.Finish(res, err)
	}
}

func (m *message) send(ctx context.Context, g *pool.Grant[*fake]) (*result, error) {
	if !g.AlreadySent {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if m.Begin != nil {
			if err := m.Begin(ctx, g.Process); err != nil {
				return nil, err
			}
		}
		if err := g.Begin(); err != nil {
			return nil, err
		}
	}
	return g.Agent.Send(ctx, m)
}

// release gives the agent back and takes over what the pool says of the end.
func (m *message) release(g *pool.Grant[*fake], res **result, err *error) (again bool) {
	end := pool.End{Err: *err, NoRoom: errors.Is(*err, syscall.ENOSPC)}
	if r := *res; r != nil {
		end = pool.End{Outcome: r.Outcome, Retire: r.Retire, Running: len(r.Background) > 0, Limit: m.Limit}
	}
	r := g.Release(end)
	if *err = r.Err; r.Err != nil {
		*res = nil
	} else if r.CutOff {
		(*res).Outcome = "incomplete"
	}
	return r.Again
}

func newHouse(t testing.TB) *house {
	return &house{t: t, start: time.Second, live: map[pool.Key]int{}, starts: map[pool.Key]int{}}
}

// pool returns a pool of fakes that is closed at the end of the test.
func (h *house) pool(l pool.Limits, s pool.Settings) *testPool {
	h.max = l.MaxProcesses
	p := pool.New(pool.Config[*fake]{
		Limits: l, Settings: func(string) pool.Settings { return s }, Start: h.Start, Memory: h.memory, Prefix: "p", Starts: 100,
	})
	h.t.Cleanup(p.Close)
	return p
}

func (h *house) add(k pool.Key, n int) {
	h.total += n
	h.live[k] += n
	if h.max > 0 && h.total > h.max {
		h.t.Errorf("%d processes, more than %d", h.total, h.max)
	}
	if h.live[k] > 1 {
		h.t.Errorf("%d processes of %v", h.live[k], k)
	}
}

func (h *house) Start(ctx context.Context, k pool.Key, id string, fresh bool, v turn.Variant) (*fake, error) {
	h.mu.Lock()
	h.add(k, 1)
	h.starts[k]++
	nth := h.starts[k]
	h.starting++
	h.peak = max(h.peak, h.starting)
	h.mu.Unlock()
	var err error
	if h.late {
		time.Sleep(h.start)
	} else if h.start > 0 {
		select {
		case <-time.After(h.start):
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err == nil && h.startErr != nil {
		err = h.startErr(k, nth)
	}
	if err == nil && h.variantErr != nil {
		err = h.variantErr(v)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.starting--
	if err != nil {
		h.add(k, -1)
		return nil, err
	}
	a := &fake{h: h, key: k, id: id, fresh: fresh, variant: v, pid: 1000 + len(h.agents), done: make(chan struct{})}
	h.agents = append(h.agents, a)
	return a, nil
}

// last returns the agent that was started last.
func (h *house) last() *fake {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.agents[len(h.agents)-1]
}

func (h *house) count() (started, live int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.agents), h.total
}

// fake is an agent whose turns are told by the text of the message: a duration
// is how long it takes, "die" ends the process, "refuse" was not dispatched,
// "deaf" does not answer an interrupt.
type fake struct {
	h       *house
	key     pool.Key
	id      string
	fresh   bool
	variant turn.Variant
	pid     int
	done    chan struct{}

	mu       sync.Mutex
	exit     string
	progress time.Time
	inTurn   bool

	stops, sends, pings, measures atomic.Int64
}

// quit ends the process, as a crash would.
func (a *fake) quit(how string) {
	a.h.mu.Lock()
	defer a.h.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.exit != "" {
		return
	}
	a.exit = how
	a.h.add(a.key, -1)
	close(a.done)
}

func (a *fake) Send(ctx context.Context, t *message) (*result, error) {
	a.mu.Lock()
	if a.inTurn {
		a.h.t.Errorf("two turns at a time on %s", a.id)
	}
	a.inTurn, a.progress = true, time.Now()
	a.sends.Add(1)
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.inTurn = false
	}()
	if a.h.send != nil {
		return a.h.send(ctx, a, t)
	}
	return a.play(ctx, t)
}

func (a *fake) play(ctx context.Context, t *message) (*result, error) {
	interrupt := ctx.Done()
	switch t.Text {
	case "die":
		a.quit("exit status 1")
		return nil, errDied
	case "refuse":
		return nil, fmt.Errorf("pipe: %w", pool.ErrNotDispatched)
	case "deaf":
		interrupt = nil
	}
	d, err := time.ParseDuration(t.Text)
	if err != nil {
		d = time.Second
	}
	select {
	case <-time.After(d):
		return &result{Outcome: "success", Text: a.key.String() + ":" + t.Text, Background: a.h.background}, nil
	case <-interrupt:
		time.Sleep(10 * time.Millisecond)
		if errors.Is(context.Cause(ctx), pool.ErrStalled) {
			return &result{Outcome: "incomplete"}, nil
		}
		return &result{Outcome: "interrupted"}, nil
	case <-a.done:
		return nil, errDied
	}
}

func (a *fake) Stop() {
	if n := a.stops.Add(1); n > 1 {
		a.h.t.Errorf("%s stopped %d times", a.id, n)
	}
	select {
	case <-time.After(a.h.stop):
	case <-a.done:
	}
	a.quit("signal: terminated")
}

func (a *fake) Done() <-chan struct{} { return a.done }

func (a *fake) Exit() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.exit
}

func (a *fake) PID() int { return a.pid }

func (a *fake) Progress() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.progress
}

func (a *fake) SetsMode() bool { return a.h.setsMode }

func (a *fake) Stale() string {
	if a.h.stale == nil {
		return ""
	}
	return a.h.stale(a)
}

func (a *fake) Check(ctx context.Context, ping bool) (pool.Health, error) {
	if a.measures.Add(1); ping {
		a.pings.Add(1)
	}
	mem := a.sends.Load() * a.h.grow
	if a.h.size != nil {
		mem = a.h.size(a)
	}
	if a.h.check != nil {
		if err := a.h.check(ctx, a, ping); err != nil {
			return pool.Health{}, err
		}
	}
	return pool.Health{Memory: mem}, nil
}

// bubble runs a test in a bubble of its own time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t) })
}
