package approval

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"iris/config"
	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/turn"
)

// The decisions about a tool call.
const (
	allowed   = "allowed"
	denied    = "denied"
	expired   = "expired"   // denied, since nobody had decided by the deadline
	withdrawn = "withdrawn" // its turn or its agent ended first
)

// Options is what a Registry needs from the daemon.
type Options struct {
	Team   func(pool.Key) *config.Team                                             // returns the settings of a conversation's agents
	Key    func(team, session string) (pool.Key, error)                            // checks the names, and returns the key of the conversation
	Report func(process, message string, typ pool.EventType, detail string) string // reports an event of an approval, and returns the message that the agent runs
	Log    *slog.Logger

	Handed  []Handed       // waiting approvals of the program before this one
	Decided []ipc.Approval // approvals decided in the program before this one
}

// A Registry holds the tool calls that wait for a decision. They are in memory only:
// when the daemon dies, Claude Code denies them by itself. Each is decided once, by
// the first of a person, its deadline, and the agent that withdraws it. Any goroutine
// may call its methods.
type Registry struct {
	o Options

	wg     sync.WaitGroup  // one goroutine for each deadline
	ending context.Context // ends those goroutines
	end    context.CancelFunc

	mu       sync.Mutex // protects the fields below; taken before the pool's
	over     bool       // no new approval is accepted
	pending  []*approval
	past     []ipc.Approval // the last decided ones, without their inputs
	handed   []Handed
	watchers map[*watcher]bool
}

// keptPast is how many decided approvals are remembered, to answer late decisions.
const keptPast = 256

// approval is one waiting tool call. Only Registry.mu protects changes of its view.
type approval struct {
	view    ipc.Approval
	proc    *claude.Process
	request string        // the agent's id of the request
	done    chan struct{} // closed when it is decided

	deciding sync.Mutex // one decision at a time; held while the agent gets the answer
}

// Handed is a waiting approval for the next program of this process, which gets the
// rest from its agent.
type Handed struct {
	Request string
	View    ipc.Approval // without its input
}

// A watcher gets the approvals of some messages.
type watcher struct {
	messages []string
	tell     func(method string, a ipc.Approval)
}

// New returns a Registry. Its owner closes it.
func New(o Options) *Registry {
	s := &Registry{o: o, handed: o.Handed, past: o.Decided, watchers: map[*watcher]bool{}}
	s.ending, s.end = context.WithCancel(context.Background())
	return s
}

// Close ends the goroutines. Waiting approvals are left to their agents.
func (s *Registry) Close() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.end()
	s.wg.Wait()
}

// Asked adds a tool call of an agent that waits for an answer.
func (s *Registry) Asked(k pool.Key, process string, p *claude.Process, r claude.Request) {
	t := s.o.Team(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	a := &approval{proc: p, request: r.ID, done: make(chan struct{})}
	if !s.takeHanded(process, r.ID, &a.view) {
		a.view = ipc.Approval{ID: s.newID(), Process: process, Team: k.Team, Session: k.Session, Tool: r.Tool, Asked: time.Now()}
		if t.ApprovalTimeout > 0 {
			deadline := a.view.Asked.Add(t.ApprovalTimeout)
			a.view.Deadline = &deadline
		}
		a.view.Message = s.o.Report(process, "", pool.ApprovalAsked, a.view.ID+": "+r.Tool)
	}
	a.describe(r)
	s.pending = append(s.pending, a)
	s.tell(ipc.NotifyAsked, a.view)
	if a.view.Deadline != nil {
		s.wg.Go(func() { s.expireAt(a, *a.view.Deadline) })
	}
}

// takeHanded restores the approval that the program before this one had for a request. The
// caller holds mu.
func (s *Registry) takeHanded(process, request string, view *ipc.Approval) bool {
	i := slices.IndexFunc(s.handed, func(h Handed) bool { return h.Request == request && h.View.Process == process })
	if i < 0 {
		return false
	}
	*view = s.handed[i].View
	s.handed = slices.Delete(s.handed, i, i+1)
	return true
}

// newID returns five characters that are easy to type. They are random, so that an
// old id in a shell does not name another tool call. The caller holds mu.
func (s *Registry) newID() string {
	for {
		var b [5]byte
		rand.Read(b[:])
		for i := range b {
			b[i] = ipc.IDLetters[b[i]&31]
		}
		id := string(b[:])
		if s.find(id) == nil && s.decided(id) == nil {
			return id
		}
	}
}

// find returns a waiting approval. The caller holds mu.
func (s *Registry) find(id string) *approval {
	for _, a := range s.pending {
		if a.view.ID == id {
			return a
		}
	}
	return nil
}

// decided returns a decided approval. The caller holds mu.
func (s *Registry) decided(id string) *ipc.Approval {
	for i := range s.past {
		if s.past[i].ID == id {
			return &s.past[i]
		}
	}
	return nil
}

// expireAt denies a tool call at its deadline.
func (s *Registry) expireAt(a *approval, deadline time.Time) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-a.done:
			return
		case <-s.ending.Done():
			return
		}
		after := deadline.Sub(a.view.Asked).Round(time.Millisecond)
		why := fmt.Sprintf("nobody has decided about this within %v, so it is denied", after)
		s.decide(a.view.ID, ruling{decision: expired, by: "its deadline", why: why})
		timer.Reset(time.Second) // if the agent could not be told
	}
}

// decide sends a decision to the agent. The error is for the person who decided.
func (s *Registry) decide(id string, r ruling) (ipc.Approval, error) {
	s.mu.Lock()
	a := s.find(id)
	s.mu.Unlock()
	if a == nil {
		return ipc.Approval{}, s.notPending(id)
	}
	input, err := a.answered(r)
	if err != nil {
		return ipc.Approval{}, err
	}
	a.deciding.Lock()
	defer a.deciding.Unlock()
	err = a.inform(r, input)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, claude.ErrWithdrawn): // or another decision came first
		s.record(a, ruling{decision: withdrawn, by: "its agent"})
		return ipc.Approval{}, decidedError(&a.view)
	case err != nil:
		return ipc.Approval{}, fault.New(ipc.CodeFailed, "failed", fmt.Errorf("approval %s still waits, its agent could not be told: %w", id, err))
	}
	s.record(a, r)
	return a.view, nil
}

// Withdrawn records that an agent no longer waits for an answer.
func (s *Registry) Withdrawn(process, request string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.pending {
		if a.request == request && a.view.Process == process {
			s.record(a, ruling{decision: withdrawn, by: "its agent"})
			return
		}
	}
}

// record records a decision, once. The caller holds mu.
func (s *Registry) record(a *approval, r ruling) {
	if a.view.Decision != "" {
		return
	}
	a.view.Decision, a.view.By = r.decision, r.by
	if !r.always {
		a.view.Always = nil
	}
	s.pending = slices.DeleteFunc(s.pending, func(o *approval) bool { return o == a })
	brief := a.view.WithoutInput()
	s.past = append(s.past, brief)
	s.past = s.past[max(0, len(s.past)-keptPast):]
	close(a.done)
	s.o.Report(a.view.Process, a.view.Message, pool.ApprovalDecided, summary(&a.view))
	s.tell(ipc.NotifyDecided, brief)
}

// tell notifies the watchers. The caller holds mu.
func (s *Registry) tell(method string, a ipc.Approval) {
	for w := range s.watchers {
		if slices.Contains(w.messages, a.Message) {
			w.tell(method, a)
		}
	}
}

// Watch notifies a caller that wants it of the approvals of messages, until stop is called.
// It begins with the approvals that already wait.
func (s *Registry) Watch(c *ipc.Call, wanted bool, messages ...string) (stop func()) {
	if !wanted {
		return func() {}
	}
	w := &watcher{messages: messages, tell: func(method string, a ipc.Approval) { c.Notify(method, a) }}
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

// waiting lists the waiting approvals of these messages.
func (s *Registry) waiting(messages []string) (all []*approval) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.pending {
		if slices.Contains(messages, a.view.Message) {
			all = append(all, a)
		}
	}
	return all
}

// awaitDecision waits until a decision that is being made was reported. The turn may end
// before that.
func (a *approval) awaitDecision() {
	a.deciding.Lock()
	defer a.deciding.Unlock()
}

// Explain records in a result that a decision, and not the settings of Claude Code, denied a
// tool in the turn.
func (s *Registry) Explain(message string, res *turn.Result) {
	if res == nil || res.Outcome != turn.Denied || res.Reason != "" {
		return
	}
	for _, a := range s.waiting([]string{message}) {
		a.awaitDecision()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.past, func(a ipc.Approval) bool {
		return a.Message == message && (a.Decision == denied || a.Decision == expired)
	}) {
		res.Reason = turn.Decided
	}
}

// HandOver lists the waiting and decided approvals, for the next program of this
// process.
func (s *Registry) HandOver() (all []Handed, past []ipc.Approval) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.pending {
		all = append(all, Handed{Request: a.request, View: a.view.WithoutInput()})
	}
	return all, slices.Clone(s.past)
}

// notPending returns the error for an approval that does not wait: it was decided, or is
// not known.
func (s *Registry) notPending(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.decided(id); a != nil {
		return decidedError(a)
	}
	e := fault.New(ipc.CodeNotFound, "no-such-approval", fmt.Errorf("no approval %q", id))
	e.Data.Hint = `"iris approvals" lists those that wait`
	return e
}

func decidedError(a *ipc.Approval) error {
	how := a.Decision + " by " + a.By
	switch a.Decision {
	case expired:
		how = "denied at its deadline"
	case withdrawn:
		how = "withdrawn: its turn has ended"
	}
	return fault.New(ipc.CodeNotFound, "decided", fmt.Errorf("team %s: approval %s (%s) was %s", pool.Key{Team: a.Team, Session: a.Session}, a.ID, a.Tool, how))
}
