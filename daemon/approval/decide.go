package approval

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool/claude"
)

// list returns the waiting approvals that the filter chooses, the oldest first.
func (s *Registry) list(f ipc.ApprovalFilter) []ipc.Approval {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []ipc.Approval{}
	for _, a := range s.pending {
		if (f.Team == "" || a.view.Team == f.Team) && (f.ID == "" || a.view.ID == f.ID) {
			list = append(list, a.view)
		}
	}
	return list
}

// List answers approval.list. If the filter names an approval that does not wait, it returns
// an error.
func (s *Registry) List(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.ApprovalFilter
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if p.Team != "" {
		k, err := s.o.Key(p.Team, "")
		if err != nil {
			return nil, err
		}
		p.Team = k.Team
	}
	var err error
	if p.ID, err = s.fullID(p.ID); err != nil {
		return nil, err
	}
	list := ipc.ApprovalList{Approvals: s.list(p)}
	if p.ID != "" && len(list.Approvals) == 0 {
		return nil, s.notPending(p.ID)
	}
	return list, nil
}

// leastPrefix is how many letters may stand for an id. Fewer could name a call that
// nobody has looked at: one that began to wait when the intended one was decided.
const leastPrefix = 3

// fullID returns the id that begins with prefix, of the approvals that wait or were
// decided; the prefix itself if there is none.
func (s *Registry) fullID(prefix string) (string, error) {
	if len(prefix) < leastPrefix {
		return prefix, nil
	}
	var found []string
	s.mu.Lock()
	for _, a := range s.pending {
		found = append(found, a.view.ID)
	}
	for i := range s.past {
		found = append(found, s.past[i].ID)
	}
	s.mu.Unlock()
	found = slices.DeleteFunc(found, func(id string) bool { return !strings.HasPrefix(id, prefix) })
	switch {
	case len(found) > 1:
		return "", fault.Ambiguous(prefix, "approvals", found)
	case len(found) == 1:
		prefix = found[0]
	}
	return prefix, nil
}

// describe copies the agent's description of a tool call into the approval.
func (a *approval) describe(r claude.Request) {
	v := &a.view
	v.Input, v.Description, v.BlockedPath, v.Why = r.Input, r.Description, r.BlockedPath, r.Why
	v.Always = r.Offered()
	if s := r.Subagent; s.ID != "" {
		v.Subagent = &ipc.Subagent{ID: s.ID, Kind: s.Kind, Task: s.Task}
	}
	for _, q := range claude.Questions(r.Tool, r.Input) {
		w := ipc.Question{Text: q.Text, Header: q.Header, Multiple: q.Multiple, Options: []ipc.QuestionOption{}}
		for _, o := range q.Options {
			w.Options = append(w.Options, ipc.QuestionOption(o))
		}
		v.Questions = append(v.Questions, w)
	}
}

// MaxReason is how many bytes a reason for the agent, or the answers to its
// questions, may have.
const MaxReason = 16 << 10

// ruling is the decision of a person, or of a deadline, about a tool call.
type ruling struct {
	decision, by string
	why          string   // for the agent, if the tool is denied
	answers      []string // to the tool's questions, if it is allowed
	always       bool     // allow also what the agent offers to have from now on
}

// Decide answers approval.decide.
func (s *Registry) Decide(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.Decide
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	answers := len(strings.Join(p.Answers, ""))
	switch {
	case p.Allow && p.Reason != "":
		return nil, fault.BadOption("reason: a tool that is allowed takes none")
	case !p.Allow && len(p.Answers) > 0:
		return nil, fault.BadOption("answers: a tool that is denied takes none")
	case p.Always && (!p.Allow || len(p.Answers) > 0):
		return nil, fault.BadOption("always: only a tool that is allowed without answers takes it")
	case len(p.Reason) > MaxReason:
		return nil, fault.BadOption("reason has %d bytes, more than %d", len(p.Reason), MaxReason)
	case answers > MaxReason:
		return nil, fault.BadOption("answers have %d bytes, more than %d", answers, MaxReason)
	}
	id, err := s.fullID(p.ID)
	if err != nil {
		return nil, err
	}
	r := ruling{decision: allowed, by: fmt.Sprintf("pid %d", c.Peer.PID), answers: p.Answers, always: p.Always}
	if !p.Allow {
		r.decision, r.why = denied, "the user has denied this"
		if p.Reason != "" {
			r.why += ": " + p.Reason
		}
	}
	a, err := s.decide(id, r)
	if err != nil {
		return nil, err
	}
	s.o.Log.Info("approval decided", "approval", id, "allow", p.Allow, "always", p.Always, "peer", c.Peer.PID)
	return a.WithoutInput(), nil
}

// inform tells the agent of a decision, with the input that answered has returned.
func (a *approval) inform(r ruling, input []byte) error {
	switch {
	case input != nil:
		return a.proc.AnswerWithInput(a.request, input)
	case r.always:
		return a.proc.AnswerAlways(a.request)
	}
	return a.proc.Answer(a.request, r.decision == allowed, r.why)
}

// summary is a decision in one line, for an event.
func summary(a *ipc.Approval) string {
	text := fmt.Sprintf("%s: %s: %s by %s", a.ID, a.Tool, a.Decision, a.By)
	if len(a.Always) > 0 {
		text += ", and from now on " + strings.Join(a.Always, ", ")
	}
	return text
}

// answered returns the input of a tool with the answers to its questions added; nil
// if the tool asks none, or is not allowed. It refuses a decision that does not fit the
// tool call. Without answers, the agent would be told
// that the user ignored the question.
func (a *approval) answered(r ruling) ([]byte, error) {
	id, tool := a.view.ID, a.view.Tool
	switch {
	case r.always && len(a.view.Always) == 0:
		e := fault.New(ipc.CodeUsage, "not-offered", fmt.Errorf("approval %s (%s): the agent offers nothing to allow from now on", id, tool))
		e.Data.Hint = fmt.Sprintf("%q allows this call alone", "iris approve "+id)
		return nil, e
	case r.decision != allowed, tool != claude.QuestionTool && len(r.answers) == 0:
		return nil, nil
	case tool != claude.QuestionTool:
		return nil, fault.BadOption("approval %s (%s) asks no question, so it takes no answer", id, tool)
	}
	input, err := claude.AnswerQuestions(a.view.Input, r.answers)
	if err == nil {
		return input, nil
	}
	reason := "bad-answer"
	if len(r.answers) == 0 {
		reason = "needs-answer"
	}
	e := fault.New(ipc.CodeUsage, reason, fmt.Errorf("approval %s (%s): %w", id, tool, err))
	e.Data.Hint = fmt.Sprintf("iris approve %s%s; \"iris approvals %s\" shows the options", id, strings.Repeat(" --answer TEXT", max(1, len(a.view.Questions))), id)
	if len(a.view.Questions) == 0 {
		e.Data.Hint = "iris deny " + id
	}
	return nil, e
}

// Of lists the waiting approvals of a process, without their inputs.
func (s *Registry) Of(process string) (list []ipc.Approval) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.pending {
		if a.view.Process == process {
			list = append(list, ipc.Approval{ID: a.view.ID, Tool: a.view.Tool})
		}
	}
	return list
}
