package pool

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"iris/pool/turn"
)

// Config configures a pool. Its functions must be safe for use by several goroutines.
type Config[A Agent] struct {
	Limits Limits

	// Settings returns the settings of a team. It is called with the pool's lock
	// held: it must be quick and must not call the pool. Nil means that every setting
	// is zero.
	Settings func(team string) Settings

	// Gone is called once for each agent that has started and is gone, before Kill,
	// Evict and Close return. It is called with the pool's lock held, as Settings is.
	// Nil means that nobody wants to know.
	Gone func(Gone)

	// Start starts the agent of a key and returns it when it is ready for its first
	// turn. id is its process id in the pool; fresh asks for a new conversation, v
	// says how to start the agent. When ctx ends, the agent is no longer wanted. A
	// *StartError with Permanent set is not tried again.
	Start func(ctx context.Context, k Key, id string, fresh bool, v turn.Variant) (A, error)

	// Memory returns what the machine has left. It is called at each health check, and
	// before an agent starts, unless MaxMemoryTotal is 0. Nil means that it is unknown.
	Memory func() Memory

	Prefix string // process ids are Prefix, "-" and a counter
	Starts int    // starts at a time; 0 means as many as there are cores
}

// Limits hold for the pool as a whole.
type Limits struct {
	MaxProcesses        int
	WhenFull            WhenFull
	FairWait            time.Duration // 0: an agent never gives way to another team's messages
	HealthCheckInterval time.Duration // 0: no checks
	Budget              Budget        // of all teams together
	MaxMemoryTotal      int64         // of all agents together, in bytes; 0: no limit, whatever the machine has left
}

// WhenFull says what happens to a message that needs an agent while all are busy.
type WhenFull string

// The values of WhenFull.
const (
	WhenFullWait  WhenFull = "wait"  // it waits; also the meaning of ""
	WhenFullFail  WhenFull = "fail"  // it is refused with ErrFull or ErrNoMemory
	WhenFullEvict WhenFull = "evict" // the oldest running turn ends with ErrEvicted
)

// Settings hold for one team.
type Settings struct {
	IdleTimeout    time.Duration // 0: never
	StallTimeout   time.Duration // 0: never
	StallInterrupt bool
	QueueLimit     int   // messages of all keys of the team; 0: no limit
	MaxMessages    int   // of one agent; 0: no limit
	MaxMemory      int64 // of one agent, in bytes; 0: no limit
	Budget         Budget
	BudgetFail     bool    // a message that a budget does not allow fails; otherwise it waits
	SpareBelow     float64 // a spare message begins below this utilization of its account, from 0 to 1
	Size           int64   // of one agent in bytes, as long as none of the team has been measured
}

// checkTimeout is how long an idle agent may take to answer a health check.
const checkTimeout = 10 * time.Second

// Pool keeps a bounded number of agents. Its methods are safe for use by
// several goroutines.
type Pool[A Agent] struct {
	cfg  Config[A]
	ctx  context.Context // the pool's own lifetime; ends with Close
	quit context.CancelFunc

	// wg counts one goroutine per live agent (run), one per turn (turn), one per
	// answer, Stop, probe and check under way, and one per orphan.
	wg sync.WaitGroup

	// mu protects the fields below. Nothing slow happens while it is held: no call of
	// an agent, of Start, or of a Run.
	mu        sync.Mutex
	table     table
	agents    map[*slot]A       // from their start until they are gone
	runs      map[*entry]Run[A] // until they have returned for the last time
	timer     *time.Timer
	alarm     time.Time     // the time that timer is set to
	drained   chan struct{} // closed when the pool is closed and no turn is left
	isDrained bool
	quiescent chan struct{} // closed when nothing is under way; nil unless Freeze waits
}

// New returns a pool without agents. Close it.
func New[A Agent](cfg Config[A]) *Pool[A] {
	if cfg.Starts <= 0 {
		cfg.Starts = runtime.NumCPU()
	}
	if cfg.Settings == nil {
		cfg.Settings = func(string) Settings { return Settings{} }
	}
	if cfg.Gone == nil {
		cfg.Gone = func(Gone) {}
	}
	p := &Pool[A]{cfg: cfg, drained: make(chan struct{}), agents: map[*slot]A{}, runs: map[*entry]Run[A]{}}
	p.ctx, p.quit = context.WithCancel(context.Background())
	p.table = table{
		Limits: cfg.Limits, settings: cfg.Settings, prefix: cfg.Prefix, starts: cfg.Starts,
		jitter: func(d time.Duration) time.Duration { return rand.N(d + 1) },
		queues: map[Key]*queue{}, slots: map[string]*slot{}, entries: map[string]*entry{}, queued: map[string]int{},
		accounts: map[string]string{}, gates: map[string]*gate{}, quotas: map[string]*quota{},
		money: newMoney(time.Local),
	}
	return p
}

// update is the only way to the table: it lets f change the table and launches the
// steps that follow.
func (p *Pool[A]) update(f func(*table)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.table
	t.now = time.Now()
	f(t)
	for s, ok := t.next(); ok; s, ok = t.next() {
		p.launch(s)
	}
	p.setTimer(t.due())
	p.notifyQuiescent()
	if t.closed && t.active == 0 && !p.isDrained {
		p.isDrained = true
		close(p.drained)
	}
	t.events.notify()
}

// setTimer sets the time of the next update. An old timer that still fires does no
// harm: nothing is due then.
func (p *Pool[A]) setTimer(at time.Time) {
	if p.table.events.closed {
		at = time.Time{}
	}
	if at.Equal(p.alarm) {
		return
	}
	p.alarm = at
	if p.timer != nil {
		p.timer.Stop()
	}
	if !at.IsZero() {
		p.timer = time.AfterFunc(max(0, at.Sub(p.table.now)), func() { p.fire(at) })
	}
}

// fire is the timer's callback.
func (p *Pool[A]) fire(at time.Time) {
	p.update(func(*table) {
		if p.alarm.Equal(at) {
			p.alarm = time.Time{} // it has fired
		}
	})
}

// launch carries out a step of the table. It is called with the lock held and only
// starts what takes time.
func (p *Pool[A]) launch(st step) {
	s, e, a := st.slot, st.entry, p.agents[st.slot]
	switch st.kind {
	case stepStart:
		ctx, cancel := context.WithCancel(context.Background())
		s.cancel = cancel
		p.wg.Go(func() { p.run(ctx, s) })
	case stepAbort:
		s.cancel()
	case stepGrant:
		e.ctx, e.cancel = context.WithCancelCause(context.Background())
		proc, run := p.process(s), p.runs[e]
		p.wg.Go(func() { p.turn(s, e, proc, run) })
	case stepInterrupt:
		e.cancel(st.err)
	case stepStop:
		p.wg.Go(a.Stop)
	case stepGone:
		delete(p.agents, s)
		if !s.readyAt.IsZero() {
			p.cfg.Gone(s.end(p.table.now))
		}
		close(s.gone)
	case stepAnswer:
		proc, run := p.process(s), p.runs[e]
		p.wg.Go(func() { p.answer(e, proc, run, st.err) })
	case stepProbe:
		p.wg.Go(func() { p.probe(s, e, a) })
	case stepCheck:
		p.wg.Go(func() { p.check(s, a, st.ping) })
	case stepSample:
		agents := make([]A, 0, len(st.slots))
		for _, s := range st.slots {
			agents = append(agents, p.agents[s])
		}
		p.wg.Go(func() { p.sample(st.slots, agents) })
	}
}

// run is the life of one agent.
func (p *Pool[A]) run(ctx context.Context, s *slot) {
	defer s.cancel()
	a, err := p.cfg.Start(ctx, s.queue.key, s.id, s.fresh, s.variant)
	if err != nil {
		p.update(func(t *table) { t.notStarted(s, err) })
		return
	}
	pid, modes := a.PID(), a.SetsMode()
	p.update(func(t *table) {
		p.agents[s] = a
		t.started(s, pid, modes)
	})
	p.outlive(s, a)
}

// outlive waits until an agent has ended.
func (p *Pool[A]) outlive(s *slot, a A) {
	<-a.Done()
	how := a.Exit()
	p.update(func(t *table) { t.exited(s, how) })
}

// answer ends a message that got no agent, or a wake. Some wakes have no waiter.
func (p *Pool[A]) answer(e *entry, proc Process[A], run Run[A], err error) {
	switch {
	case run == nil:
	case err != nil:
		run(context.Background(), nil, err)
	default:
		run(context.Background(), &Grant[A]{Process: proc}, nil)
	}
	p.recorded(e)
}

// recorded forgets a turn whose Run has returned.
func (p *Pool[A]) recorded(e *entry) {
	p.update(func(t *table) {
		delete(p.runs, e)
		t.recorded(e)
	})
}

func (p *Pool[A]) probe(s *slot, e *entry, a A) {
	last := a.Progress()
	p.update(func(t *table) { t.probed(s, e, last) })
}

func (p *Pool[A]) check(s *slot, a A, ping bool) {
	ctx, cancel := context.WithTimeout(p.ctx, checkTimeout)
	defer cancel()
	h, err := a.Check(ctx, ping)
	p.update(func(t *table) { t.measured(s, h, err) })
}
