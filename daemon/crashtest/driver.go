package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"iris/config/sys"
	"iris/ipc"
	"iris/pool/claude/claudetest"
)

const (
	senders = 6
	backlog = 80 // messages that wait, above which little is added
	eraLen  = 40 // rounds with the same conversations
)

// What the senders tell the driver, which may kill at that moment.
const (
	accepted = "accepted"
	running  = "running"
	done     = "done"
)

// driver runs the rounds.
type driver struct {
	h        *home
	rounds   int
	seed     uint64
	r        *rand.Rand
	notes    *notes
	report   *report
	round    int  // that are over
	rich     bool // the next recovery has dead agents to judge
	hung     *message
	progress io.Writer
}

func newDriver(h *home, o options) *driver {
	return &driver{
		h: h, rounds: o.rounds, seed: o.seed, r: rand.New(rand.NewPCG(o.seed, 0)),
		notes: newNotes(), report: new(report), progress: io.Discard,
	}
}

// drive does all rounds, and then looks at what is left.
func (d *driver) drive(ctx context.Context) error {
	for d.round < d.rounds && ctx.Err() == nil {
		if err := d.oneRound(ctx); err != nil {
			return fmt.Errorf("round %d: %w", d.round, err)
		}
		d.round++
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return d.verify(ctx)
}

// plan is what happens in one round. The moment of the end is a time, and then
// perhaps something that a client is told: the daemon dies a few microseconds
// after it has said so.
type plan struct {
	starts int           // daemons that are killed while they start
	after  time.Duration // of work
	anew   bool          // then another image of the program takes its place, and more work
	flood  bool          // then many submissions at once
	event  string        // what to kill at, empty for none
	nth    int           // of these events
	hard   string        // what befalls the daemon meanwhile, empty for nothing
	how    string
}

// The ends of a round.
const (
	killDaemon = "kill the daemon"
	killBoth   = "kill the daemon and agents"
	killAgents = "kill agents, and the daemon later"
	terminate  = "SIGTERM"
	termKill   = "SIGTERM, and SIGKILL meanwhile"
	leaveTurns = "stop and leave turns"
)

func (d *driver) newPlan() plan {
	p := plan{after: time.Duration(d.r.IntN(500_000)) * time.Microsecond, anew: d.r.IntN(4) == 0, flood: d.r.IntN(3) == 0}
	often := 5
	if d.rich {
		often = 2
	}
	if d.r.IntN(often) == 0 {
		p.starts = 1 + d.r.IntN(2)
	}
	if p.flood {
		p.event, p.nth = accepted, 1+d.r.IntN(30)
	} else {
		p.event, p.nth = []string{"", accepted, running, running, done}[d.r.IntN(5)], 1
	}
	p.hard = d.newHardship()
	switch x := d.r.IntN(100); {
	case x < 55:
		p.how = killDaemon
	case x < 70:
		p.how = killBoth
	case x < 80:
		p.how = killAgents
	case x < 86:
		p.how = terminate
	case x < 91:
		p.how = termKill
	default:
		p.how = leaveTurns
	}
	return p
}

// oneRound starts a daemon, lets the clients work and ends it.
func (d *driver) oneRound(ctx context.Context) error {
	p := d.newPlan()
	fmt.Fprintf(d.progress, "round %d: %+v\n", d.round, p)
	for range p.starts {
		if d.h.startAndKill(ctx, time.Duration(d.r.IntN(15_000))*time.Microsecond) {
			d.report.recoveryKills++
		}
	}
	daemon, err := d.h.start(ctx)
	if err != nil {
		return err
	}
	d.lowerBound(ctx)
	if err := d.limitAccounts(); err != nil {
		return err
	}
	things, err := d.quota(ctx)
	if err != nil {
		return err
	}
	work, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	if d.round == d.rounds-1 {
		p.how = killDaemon
		d.hang(work)
	}
	d.employ(work, &wg, worker, things)
	sys.Sleep(ctx, p.after/2)
	if err := d.suffer(ctx, daemon, p.hard); err != nil {
		return err
	}
	if err := d.changeBudgets(ctx); err != nil {
		return err
	}
	sys.Sleep(ctx, p.after/2)
	if p.anew {
		d.replace(ctx)
		d.employ(work, &wg, successor, things)
		sys.Sleep(ctx, p.after)
	}
	if p.how == killAgents {
		d.killSome(ctx)
		sys.Sleep(ctx, time.Duration(d.r.IntN(150))*time.Millisecond)
	}
	busy := d.busy(ctx)
	aimed := d.h.aim(daemon)
	defer aimed.release()
	if p.flood {
		d.flood(work, &wg)
	}
	d.await(work, p)
	return d.end(ctx, aimed, busy, p.how)
}

// quota is how much each sender may do in a round, by what waits already.
func (d *driver) quota(ctx context.Context) (int, error) {
	st, err := call[ipc.Status](ctx, d.h, ipc.MethodStatus, struct{}{})
	if st.Journal.Queued > backlog {
		return 1, err
	}
	return 8, err
}

// The kinds of senders in a round. The workers may not be done when their
// successors begin: each is a client of its own, for what it submits has an order.
const (
	worker = iota
	successor
	flooder
	decider
	hanger
)

// sender is the i-th of its kind, the same client in each round.
func (d *driver) sender(i, kind int) *sender {
	return &sender{h: d.h, notes: d.notes, era: d.round / eraLen, r: rand.New(rand.NewPCG(d.seed, uint64(d.round*1000+i*10+kind)))}
}

func (d *driver) employ(ctx context.Context, wg *sync.WaitGroup, kind, things int) {
	for i := range senders {
		s := d.sender(i, kind)
		wg.Go(func() { s.work(ctx, things) })
	}
	s := d.sender(kind, decider)
	wg.Go(func() { s.decide(ctx) })
}

func (d *driver) flood(ctx context.Context, wg *sync.WaitGroup) {
	for i := range senders {
		s := d.sender(i, flooder)
		wg.Go(func() { s.flood(ctx, 12) })
	}
}

// await returns when the event of the plan has come, or does not come.
func (d *driver) await(ctx context.Context, p plan) {
	limit := time.NewTimer(100 * time.Millisecond)
	defer limit.Stop()
	d.notes.forget()
	for p.event != "" && p.nth > 0 {
		select {
		case what := <-d.notes.events:
			if what == p.event {
				p.nth--
			}
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// end ends the daemon, and returns when it is gone. busy is how many turns it
// has just said to be running.
func (d *driver) end(ctx context.Context, daemon target, busy int, how string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s: not done after %v", how, patience))
	defer cancel()
	d.rich = how == killBoth && busy > 0
	switch how {
	case terminate:
		d.report.terms++
		daemon.signal(syscall.SIGTERM)
		return d.h.gone(ctx, daemon.process)
	case termKill:
		d.report.terms++
		daemon.signal(syscall.SIGTERM)
		sys.Sleep(ctx, time.Duration(d.r.IntN(250))*time.Millisecond)
	case leaveTurns:
		d.report.left++
		d.report.atKill += busy
		call[struct{}](ctx, d.h, ipc.MethodStop, ipc.StopParams{LeaveTurns: true, Force: true})
		return d.h.gone(ctx, daemon.process)
	}
	if daemon.signal(syscall.SIGKILL) {
		d.report.kills++
		d.report.atKill += busy
	}
	if how == killBoth {
		d.killSome(ctx)
	}
	return d.h.gone(ctx, daemon.process)
}

// replace has the program take its own place in the daemon's process. It may be
// refused: the old image stays then.
func (d *driver) replace(ctx context.Context) {
	call[struct{}](ctx, d.h, ipc.MethodReplace, ipc.Restart{Program: d.h.iris})
	if st, _ := call[ipc.Status](ctx, d.h, ipc.MethodStatus, struct{}{}); st.Generation > 1 {
		d.report.replaced++
	}
}

// busy asks the daemon how many turns run.
func (d *driver) busy(ctx context.Context) (n int) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	list, _ := call[ipc.ProcessList](ctx, d.h, ipc.MethodList, struct{}{})
	for _, p := range list.Processes {
		if p.State == "busy" {
			n++
		}
	}
	return n
}

// killSome kills one agent or more. It notes each before: what follows from a
// kill may be seen at once.
func (d *driver) killSome(ctx context.Context) {
	for _, p := range d.h.processes() {
		if !p.isAgent() || ctx.Err() != nil || d.r.IntN(3) == 0 {
			continue
		}
		d.notes.kill(p.mark, p.team())
		if d.h.kill(p) {
			d.report.agentKills++
		}
	}
}

// hang has an agent begin a turn that never ends by itself. Its daemon is killed;
// the last one must end it after orphan_timeout.
func (d *driver) hang(ctx context.Context) {
	s := d.sender(0, hanger)
	m := d.notes.add(ipc.Send{Team: team(0), Session: "hung"}, hanging)
	if s.submit(ctx, m) != nil {
		return
	}
	d.hung = m
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && ctx.Err() == nil; {
		if entries, _ := claudetest.ReadLedger(d.h.ledger); begunIn(entries, m.text.token) != "" {
			return
		}
		sys.Sleep(ctx, 50*time.Millisecond)
	}
}

// begunIn returns the process in which the message of a token has begun.
func begunIn(entries []claudetest.Entry, token string) string {
	for _, e := range entries {
		if e.Kind == "B" && tokenOf(e.Text) == token {
			return e.Process
		}
	}
	return ""
}
