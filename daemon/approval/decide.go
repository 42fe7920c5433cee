package approval

import (
	"context"
	"fmt"
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
	list := ipc.ApprovalList{Approvals: s.list(p)}
	if p.ID != "" && len(list.Approvals) == 0 {
		return nil, s.notPending(p.ID)
	}
	return list, nil
}

// describe copies the agent's description of a tool call into the approval.
func (a *approval) describe(r claude.Request) {
	v := &a.view
	v.Input, v.Description, v.BlockedPath, v.Why = r.Input, r.Description, r.BlockedPath, r.Why
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
		return nil, fault.New(ipc.CodeUsage, "bad-option", fmt.Errorf("reason: a tool that is allowed takes none"))
	case !p.Allow && len(p.Answers) > 0:
		return nil, fault.New(ipc.CodeUsage, "bad-option", fmt.Errorf("answers: a tool that is denied takes none"))
	case len(p.Reason) > MaxReason:
		return nil, fault.New(ipc.CodeUsage, "bad-option", fmt.Errorf("reason has %d bytes, more than %d", len(p.Reason), MaxReason))
	case answers > MaxReason:
		return nil, fault.New(ipc.CodeUsage, "bad-option", fmt.Errorf("answers have %d bytes, more than %d", answers, MaxReason))
	}
	r := ruling{decision: allowed, by: fmt.Sprintf("pid %d", c.Peer.PID), answers: p.Answers}
	if !p.Allow {
		r.decision, r.why = denied, "the user has denied this"
		if p.Reason != "" {
			r.why += ": " + p.Reason
		}
	}
	a, err := s.decide(p.ID, r)
	if err != nil {
		return nil, err
	}
	s.o.Log.Info("approval decided", "approval", p.ID, "allow", p.Allow, "peer", c.Peer.PID)
	return a.WithoutInput(), nil
}

// answered returns the input of a tool with the answers to its questions added; nil
// if the tool asks none, or is not allowed. Without answers, the agent would be told
// that the user ignored the question.
func (a *approval) answered(r ruling) ([]byte, error) {
	id, tool := a.view.ID, a.view.Tool
	switch {
	case r.decision != allowed, tool != claude.QuestionTool && len(r.answers) == 0:
		return nil, nil
	case tool != claude.QuestionTool:
		return nil, fault.New(ipc.CodeUsage, "bad-option", fmt.Errorf("approval %s (%s) asks no question, so it takes no answer", id, tool))
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
