package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"iris/config"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// The decisions about a tool call.
const (
	toolAllowed   = "allowed"
	toolDenied    = "denied"
	toolExpired   = "expired"   // denied, since nobody had decided in time
	toolWithdrawn = "withdrawn" // its turn or its agent ended before
)

// approvals are the tool calls that wait for somebody's permission. They are in
// memory only: when the daemon dies, Claude Code denies them by itself. Each is
// decided once, by whoever comes first: a person, its deadline, or the agent that
// takes it back.
type approvals struct {
	wg     sync.WaitGroup  // one goroutine for each deadline, and one for each command that notifies
	ending context.Context // of those
	end    context.CancelFunc

	mu       sync.Mutex // protects the fields below; taken before the pool's
	over     bool       // nothing is taken in any more
	pending  []*approval
	past     []ipc.Approval // the last that were decided, without their inputs
	handed   []handedApproval
	watchers map[*approvalWatcher]bool
}

// keptPast is how many decided approvals are remembered, for whoever comes too
// late.
const keptPast = 256

// approval is one of them. Its view changes under approvals.mu only.
type approval struct {
	view    ipc.Approval
	proc    *claude.Process
	request string        // the agent's own id of it
	done    chan struct{} // closed when it is decided

	deciding sync.Mutex // one decision at a time; held while the agent is told
}

// handedApproval is one that waits, for the next image of this program, which
// gets the rest from its agent.
type handedApproval struct {
	Request string
	View    ipc.Approval // without its input
}

// approvalWatcher is told of the approvals of some messages.
type approvalWatcher struct {
	messages []string
	tell     func(method string, a ipc.Approval)
}

// open begins with what the image before this one knew, which may be nil.
func (a *approvals) open(h *Handover) {
	a.ending, a.end = context.WithCancel(context.Background())
	a.watchers = map[*approvalWatcher]bool{}
	if h != nil {
		a.handed, a.past = h.Approvals, h.Decided
	}
}

// close ends the goroutines. What still waits is left to its agent.
func (a *approvals) close() {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
	a.end()
	a.wg.Wait()
}

// asked takes in a tool call that waits for an answer.
func (d *Daemon) asked(k pool.Key, process string, p *claude.Process, r claude.Request) {
	t := d.rules(k)
	s := &d.approvals
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	a := &approval{proc: p, request: r.ID, done: make(chan struct{})}
	known := s.takeHanded(process, r.ID, &a.view)
	if !known {
		a.view = ipc.Approval{ID: s.newID(), Process: process, Team: k.Team, Session: k.Session, Tool: r.Tool, Asked: time.Now()}
		if t.ApprovalTimeout > 0 {
			a.view.Deadline = moment(a.view.Asked.Add(t.ApprovalTimeout))
		}
		proc, _ := d.pool.Report(process, "", pool.ApprovalAsked, a.view.ID+": "+r.Tool)
		a.view.Message = proc.Turn
	}
	a.view.Input, a.view.Description, a.view.BlockedPath, a.view.Why = r.Input, r.Description, r.BlockedPath, r.Why
	s.pending = append(s.pending, a)
	s.tell(ipc.NotifyAsked, a.view)
	if a.view.Deadline != nil {
		s.wg.Go(func() { d.attend(a, *a.view.Deadline) })
	}
	if !known && len(t.ApprovalNotify) > 0 {
		view := a.view
		s.wg.Go(func() { d.notifyOf(t, view) })
	}
}

// rules are what holds for an agent, also when its team is gone, or only a
// directory: then what holds for all.
func (d *Daemon) rules(k pool.Key) *config.Team {
	cfg := d.config.Load()
	if t, ok := cfg.Teams[k.Team]; ok {
		return t
	}
	return &config.Team{Name: k.Team, Agent: "claude", Settings: cfg.Settings}
}

// takeHanded finds what the image before this one knew of a request. The caller
// holds mu.
func (s *approvals) takeHanded(process, request string, view *ipc.Approval) bool {
	i := slices.IndexFunc(s.handed, func(h handedApproval) bool { return h.Request == request && h.View.Process == process })
	if i < 0 {
		return false
	}
	*view = s.handed[i].View
	s.handed = slices.Delete(s.handed, i, i+1)
	return true
}

// newID returns five characters that are easy to type. Random ones, so that an
// old id in somebody's shell is not that of another tool call. The caller holds
// mu.
func (s *approvals) newID() string {
	for {
		var b [5]byte
		rand.Read(b[:])
		for i := range b {
			b[i] = idLetters[b[i]&31]
		}
		id := string(b[:])
		if s.find(id) == nil && s.decided(id) == nil {
			return id
		}
	}
}

// find returns an approval that waits. The caller holds mu.
func (s *approvals) find(id string) *approval {
	for _, a := range s.pending {
		if a.view.ID == id {
			return a
		}
	}
	return nil
}

// decided returns an approval that does not wait any more. The caller holds mu.
func (s *approvals) decided(id string) *ipc.Approval {
	for i := range s.past {
		if s.past[i].ID == id {
			return &s.past[i]
		}
	}
	return nil
}

// attend denies a tool call at its deadline.
func (d *Daemon) attend(a *approval, deadline time.Time) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-a.done:
			return
		case <-d.approvals.ending.Done():
			return
		}
		after := deadline.Sub(a.view.Asked).Round(time.Millisecond)
		why := fmt.Sprintf("nobody has decided about this within %v, so it is denied", after)
		d.decide(a.view.ID, toolExpired, "its deadline", why)
		timer.Reset(time.Second) // where the agent could not be told
	}
}

// decide tells the agent what was decided. The error is for whoever has decided.
func (d *Daemon) decide(id, decision, by, why string) (ipc.Approval, error) {
	s := &d.approvals
	s.mu.Lock()
	a := s.find(id)
	s.mu.Unlock()
	if a == nil {
		return ipc.Approval{}, d.notPending(id)
	}
	a.deciding.Lock()
	defer a.deciding.Unlock()
	err := a.proc.Answer(a.request, decision == toolAllowed, why)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, claude.ErrWithdrawn): // or somebody was faster
		d.settleApproval(a, toolWithdrawn, "its agent")
		return ipc.Approval{}, decidedError(&a.view)
	case err != nil:
		return ipc.Approval{}, coded(ipc.CodeFailed, "failed", fmt.Errorf("approval %s still waits, its agent could not be told: %w", id, err))
	}
	d.settleApproval(a, decision, by)
	return a.view, nil
}

// withdrawn notes that an agent does not wait for an answer any more.
func (d *Daemon) withdrawn(process, request string) {
	s := &d.approvals
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.pending {
		if a.request == request && a.view.Process == process {
			d.settleApproval(a, toolWithdrawn, "its agent")
			return
		}
	}
}

// settleApproval notes a decision, once. The caller holds approvals.mu.
func (d *Daemon) settleApproval(a *approval, decision, by string) {
	s := &d.approvals
	if a.view.Decision != "" {
		return
	}
	a.view.Decision, a.view.By = decision, by
	s.pending = slices.DeleteFunc(s.pending, func(o *approval) bool { return o == a })
	brief := a.view
	brief.Input = nil
	s.past = append(s.past, brief)
	s.past = s.past[max(0, len(s.past)-keptPast):]
	close(a.done)
	d.pool.Report(a.view.Process, a.view.Message, pool.ApprovalDecided, fmt.Sprintf("%s: %s: %s by %s", a.view.ID, a.view.Tool, decision, by))
	s.tell(ipc.NotifyDecided, brief)
}

// tell tells those who watch. The caller holds mu.
func (s *approvals) tell(method string, a ipc.Approval) {
	for w := range s.watchers {
		if slices.Contains(w.messages, a.Message) {
			w.tell(method, a)
		}
	}
}

// watchApprovals has a caller that wants it told of the approvals of messages,
// those first that wait already, until stop is called.
func (d *Daemon) watchApprovals(c *ipc.Call, wanted bool, messages ...string) (stop func()) {
	if !wanted {
		return func() {}
	}
	w := &approvalWatcher{messages: messages, tell: func(method string, a ipc.Approval) { c.Notify(method, a) }}
	s := &d.approvals
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[w] = true
	for _, a := range s.pending {
		if slices.Contains(messages, a.view.Message) {
			w.tell(ipc.NotifyAsked, a.view)
		}
	}
	return func() {
		for _, a := range s.waiting(messages) {
			a.awaitDecision()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, w)
	}
}

// waiting lists what waits in the turns of these messages.
func (s *approvals) waiting(messages []string) (all []*approval) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.pending {
		if slices.Contains(messages, a.view.Message) {
			all = append(all, a)
		}
	}
	return all
}

// awaitDecision returns when a decision that is under way has been told. The turn
// may end with it before that.
func (a *approval) awaitDecision() {
	a.deciding.Lock()
	defer a.deciding.Unlock()
}

// explain notes in a result that a tool was denied in its turn by a decision, which
// no settings of Claude Code would have changed.
func (s *approvals) explain(message string, res *pool.Result) {
	if res == nil || res.Outcome != pool.OutcomeDenied || res.Reason != "" {
		return
	}
	for _, a := range s.waiting([]string{message}) {
		a.awaitDecision()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.past, func(a ipc.Approval) bool {
		return a.Message == message && (a.Decision == toolDenied || a.Decision == toolExpired)
	}) {
		res.Reason = pool.ReasonDecided
	}
}

// handOver lists what waits and what was decided, for the next image of this
// program.
func (s *approvals) handOver() (all []handedApproval, past []ipc.Approval) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.pending {
		h := handedApproval{Request: a.request, View: a.view}
		h.View.Input = nil
		all = append(all, h)
	}
	return all, slices.Clone(s.past)
}

// notPending says what became of an approval that does not wait.
func (d *Daemon) notPending(id string) error {
	s := &d.approvals
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.decided(id); a != nil {
		return decidedError(a)
	}
	e := coded(ipc.CodeNotFound, "no-such-approval", fmt.Errorf("no approval %q", id))
	e.Data.Hint = `"iris approvals" lists those that wait`
	return e
}

func decidedError(a *ipc.Approval) error {
	fate := a.Decision + " by " + a.By
	switch a.Decision {
	case toolExpired:
		fate = "denied at its deadline"
	case toolWithdrawn:
		fate = "withdrawn: its turn has ended"
	}
	return coded(ipc.CodeNotFound, "decided", fmt.Errorf("team %s: approval %s (%s) was %s", pool.Key{Team: a.Team, Session: a.Session}, a.ID, a.Tool, fate))
}
