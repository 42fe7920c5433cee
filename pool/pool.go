package pool

import (
	"cmp"
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// Config is what a pool needs to know. The functions must be safe for use by
// several goroutines.
type Config struct {
	Limits Limits

	// Settings returns what is set for a team. It is called with the pool's
	// lock held: it must be quick and must not call the pool. Nil means that
	// every setting is zero.
	Settings func(team string) Settings

	// Start starts the agent of a key and returns it when it is ready for its
	// first turn. id is the process id that the pool will know it by; fresh
	// asks for a new conversation, v for what the agent is to be. When ctx ends nobody wants the agent any
	// more. A *StartError with Permanent set is not tried again.
	Start func(ctx context.Context, k Key, id string, fresh bool, v Variant) (Agent, error)

	Prefix string // process ids are Prefix, "-" and a counter
	Starts int    // starts at a time; 0 means as many as there are cores
}

// Limits hold for the pool as a whole.
type Limits struct {
	MaxProcesses        int
	WhenFull            WhenFull
	FairWait            time.Duration // 0: an agent never gives way to another team's messages
	HealthCheckInterval time.Duration // 0: no checks
}

// WhenFull says what happens to a message that needs an agent when every one
// is busy.
type WhenFull string

// The answers to a full pool.
const (
	WhenFullWait  WhenFull = "wait"  // it waits; also the meaning of ""
	WhenFullFail  WhenFull = "fail"  // it is refused with ErrFull
	WhenFullEvict WhenFull = "evict" // the oldest running turn ends with ErrEvicted
)

// Settings hold for one team.
type Settings struct {
	IdleTimeout    time.Duration // 0: never
	StallTimeout   time.Duration // 0: never
	StallInterrupt bool
	QueueLimit     int   // messages of all keys of the team; 0: no limit
	MaxTurns       int   // of one agent; 0: no limit
	MaxMemory      int64 // of one agent, in bytes; 0: no limit
}

// checkTimeout is how long an idle agent may take to answer a health check.
const checkTimeout = 10 * time.Second

// Pool keeps a bounded number of agents. Its methods are safe for use by
// several goroutines.
type Pool struct {
	cfg  Config
	ctx  context.Context // the pool's own lifetime; ends with Close
	quit context.CancelFunc

	// wg waits for one goroutine per live agent (run), one per turn (turn),
	// one per Finish, Stop, probe and check under way, and one per fence.
	wg sync.WaitGroup

	// mu protects the fields below. Nothing that can take time happens while it
	// is held: no call of an Agent, of Start, or of a function of a Turn.
	mu    sync.Mutex
	table table
	timer *time.Timer
	alarm time.Time // what timer is set to
	quiet chan struct{}
	still bool // quiet is closed
	subs  map[*Subscription]struct{}
	told  uint64 // last event that the subscribers know of
	over  bool   // closed, and no agent left

	settled chan struct{} // closed when nothing is under way; nil when nobody is in Freeze
}

// New returns a pool without agents. Close it.
func New(cfg Config) *Pool {
	if cfg.Starts <= 0 {
		cfg.Starts = runtime.NumCPU()
	}
	if cfg.Settings == nil {
		cfg.Settings = func(string) Settings { return Settings{} }
	}
	p := &Pool{cfg: cfg, quiet: make(chan struct{}), subs: map[*Subscription]struct{}{}}
	p.ctx, p.quit = context.WithCancel(context.Background())
	p.table = table{
		Limits: cfg.Limits, settings: cfg.Settings, prefix: cfg.Prefix, starts: cfg.Starts,
		jitter: func(d time.Duration) time.Duration { return rand.N(d + 1) },
		lines:  map[Key]*line{}, slots: map[string]*slot{}, jobs: map[string]*job{}, queued: map[string]int{},
	}
	return p
}

// update is the only way to the table: it lets f change it and launches what
// the change calls for.
func (p *Pool) update(f func(*table)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.table
	t.now = time.Now()
	f(t)
	for s, ok := t.next(); ok; s, ok = t.next() {
		p.launch(s)
	}
	p.setTimer(t.due())
	p.tellSettled()
	if t.closed && t.active == 0 && !p.still {
		p.still = true
		close(p.quiet)
	}
	p.tell()
}

// setTimer has the table asked again at a time. An old timer that fires all
// the same does no harm: it asks, and nothing is due.
func (p *Pool) setTimer(at time.Time) {
	if p.over {
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
		p.timer = time.AfterFunc(max(0, at.Sub(p.table.now)), func() { p.wake(at) })
	}
}

// wake is the timer's callback.
func (p *Pool) wake(at time.Time) {
	p.update(func(*table) {
		if p.alarm.Equal(at) {
			p.alarm = time.Time{} // spent
		}
	})
}

// launch carries a step out, which the table has decided on. It is called with
// the lock held and only starts what takes time.
func (p *Pool) launch(st step) {
	s, j := st.slot, st.job
	switch st.kind {
	case stepStart:
		ctx, cancel := context.WithCancel(context.Background())
		s.cancel = cancel
		p.wg.Go(func() { p.run(ctx, s) })
	case stepAbort:
		s.cancel()
	case stepGrant:
		j.ctx, j.cancel = context.WithCancelCause(context.Background())
		proc := p.table.process(s)
		p.wg.Go(func() { p.turn(s, j, proc) })
	case stepInterrupt:
		j.cancel(st.err)
	case stepStop:
		p.wg.Go(s.agent.Stop)
	case stepGone:
		close(s.gone)
	case stepFinish:
		var proc Process
		if s != nil {
			proc = p.table.process(s)
		}
		p.wg.Go(func() { p.finish(st, proc) })
	case stepProbe:
		p.wg.Go(func() { p.probe(s, j) })
	case stepCheck:
		p.wg.Go(func() { p.check(s, st.ping) })
	}
}

// run is the life of one agent.
func (p *Pool) run(ctx context.Context, s *slot) {
	defer s.cancel()
	a, err := p.cfg.Start(ctx, s.line.key, s.id, s.fresh, s.variant)
	if err != nil {
		p.update(func(t *table) { t.notStarted(s, err) })
		return
	}
	pid := a.PID()
	p.update(func(t *table) { t.started(s, a, pid) })
	p.outlive(s)
}

// outlive waits for the end of an agent.
func (p *Pool) outlive(s *slot) {
	<-s.agent.Done()
	how := s.agent.Exit()
	p.update(func(t *table) { t.exited(s, how) })
}

// turn takes one message to an agent.
func (p *Pool) turn(s *slot, j *job, proc Process) {
	defer j.cancel(nil)
	if !p.begin(s, j, proc) {
		return
	}
	res, err := s.agent.Send(j.ctx, j.turn)
	how, exited := "", false
	select {
	case <-s.agent.Done():
		// It left by itself; run may not have come to say so.
		how, exited = s.agent.Exit(), true
	default:
	}
	p.update(func(t *table) {
		if exited {
			t.exited(s, how)
		}
		t.end(s, j, res, err)
	})
}

// begin does what comes before a turn is sent, and reports whether it is to be.
// One that its agent has already is not begun again.
func (p *Pool) begin(s *slot, j *job, proc Process) (sent bool) {
	if j.turn.Begun {
		if j.turn.Begin != nil {
			j.turn.Begin(j.ctx, proc)
		}
		return true
	}
	if why := s.agent.Stale(); why != "" {
		given := false
		p.update(func(t *table) { given = t.giveBack(s, j, why) })
		if given {
			return false
		}
	}
	err := context.Cause(j.ctx)
	if err == nil && j.turn.Begin != nil {
		err = j.turn.Begin(j.ctx, proc)
	}
	p.update(func(t *table) {
		if sent = err == nil && t.sent(s, j); !sent {
			t.end(s, j, nil, cmp.Or(err, j.cause))
		}
	})
	return sent
}

// finish tells whoever handed a job in how it ended.
func (p *Pool) finish(st step, proc Process) {
	switch j := st.job; {
	case j.woken != nil:
		j.woken(proc, st.err)
	case j.turn.Finish != nil:
		j.turn.Finish(st.res, st.err)
	}
	p.update(func(t *table) { t.settled(st.job) })
}

func (p *Pool) probe(s *slot, j *job) {
	last := s.agent.Progress()
	p.update(func(t *table) { t.probed(s, j, last) })
}

func (p *Pool) check(s *slot, ping bool) {
	ctx, cancel := context.WithTimeout(p.ctx, checkTimeout)
	defer cancel()
	h, err := s.agent.Check(ctx, ping)
	p.update(func(t *table) { t.measured(s, h, err) })
}
