package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"iris/config/sys"
	"iris/ipc"
	"iris/pool/turn"
)

// sender is one client among several. It does one thing after the other, each on
// a connection of its own, as commands do.
type sender struct {
	h     *home
	notes *notes
	era   int // conversations change with it, so that no transcript grows for ever
	r     *rand.Rand
}

// work does a number of things with pauses, until the daemon is gone.
func (s *sender) work(ctx context.Context, things int) {
	for range things {
		if !s.something(ctx) || !sys.Sleep(ctx, time.Duration(s.r.IntN(30))*time.Millisecond) {
			return
		}
	}
}

// something reports false when there was no daemon to do it with.
func (s *sender) something(ctx context.Context) bool {
	var err error
	switch x := s.r.IntN(100); {
	case x < 43:
		err = s.submit(ctx, s.fresh())
	case x < 66:
		err = s.send(ctx, s.fresh())
	case x < 78:
		err = s.repeat(ctx)
	case x < 81:
		err = s.conflict(ctx)
	case x < 89:
		err = s.cancel(ctx)
	case x < 92:
		err = s.stopAgents(ctx)
	case x < 94:
		err = s.judge(ctx, false)
	default:
		err = s.wait(ctx)
	}
	_, said := errors.AsType[*ipc.Error](err)
	return err == nil || said
}

// flood submits short-lived messages back to back: with each of them something
// is on its way to the disk.
func (s *sender) flood(ctx context.Context, most int) {
	for range most {
		to := s.to()
		to.TTL = 1 + s.r.Int64N(20)
		m := s.notes.add(to, func(n int) text { return text{token: fmt.Sprintf("echo:m%d", n)} })
		if s.submit(ctx, m) != nil {
			return
		}
	}
}

// to is where a message goes, and what is wanted of it.
func (s *sender) to() ipc.Send {
	p := ipc.Send{Team: team(s.r.IntN(teams)), Session: fmt.Sprintf("s%d-%d", s.era, s.r.IntN(2))}
	if s.era == 0 && s.r.IntN(2) == 0 {
		p.Session = ""
	}
	return p
}

// fresh is a new message.
func (s *sender) fresh() *message {
	p := s.to()
	switch x := s.r.IntN(100); {
	case x < 10:
		p.TTL = 1 + s.r.Int64N(300)
	case x < 18:
		p.Fresh, p.Session = true, ""
	case x < 38:
		p.OnUnknown = "retry"
	case x < 41:
		p.IfBusy = "fail"
	case x < 55:
		p.OnUnknown = "hold"
	case x < 60:
		p.OnLimit = "fail"
	}
	if s.r.IntN(12) == 0 { // each of them costs an agent its place, and its successor too
		p.Options = turn.Variant{Model: fmt.Sprintf("m%d", s.r.IntN(2))}
	}
	s.dear(&p)
	return s.newMessage(p)
}

func (s *sender) newMessage(p ipc.Send) *message {
	return s.notes.add(p, func(n int) text {
		t := newText(s.r, n, p.Team)
		if account := account(p.Team); account != "" && s.r.IntN(6) == 0 {
			t = text{token: fmt.Sprintf("limit:%s:m%d", s.h.limitFile(account), n), answer: fmt.Sprintf("m%d", n)}
		}
		if p.Options.MaxCost > 0 {
			t = text{token: fmt.Sprintf("echo:m%d", n)}
		}
		t.file = s.r.IntN(16) == 0
		return t
	})
}

// repeat submits a message with a key, new or once more: perhaps the daemon was
// killed before it answered, perhaps another sender does the same at this moment.
func (s *sender) repeat(ctx context.Context) error {
	m := s.notes.someKeyed(s.r)
	if m == nil || s.r.IntN(4) == 0 {
		p := s.to()
		p.Key = fmt.Sprintf("key-%x", s.r.Uint64())
		m = s.newMessage(p)
	}
	if s.r.IntN(3) == 0 {
		return s.send(ctx, m)
	}
	return s.submit(ctx, m)
}

// conflict submits another text under a key that a client has an id for.
func (s *sender) conflict(ctx context.Context) error {
	m := s.notes.someKeyed(s.r)
	if m == nil || !s.notes.isAccepted(m) {
		return nil
	}
	p := m.send
	p.Text = "echo:never"
	st, err := call[ipc.MessageState](ctx, s.h, ipc.MethodSubmit, p)
	if err == nil {
		s.notes.stolen(m, st.ID)
	}
	return err
}

// submit does not wait for the answer.
func (s *sender) submit(ctx context.Context, m *message) error {
	p := m.params()
	st, err := call[ipc.MessageState](ctx, s.h, ipc.MethodSubmit, p)
	if err != nil {
		return s.failed(m, err)
	}
	s.notes.tell(accepted) // first: every microsecond counts
	s.notes.accepted(m, st.ID)
	s.notes.ended(st.ID, st.State)
	return nil
}

// send waits for the answer, and now and then goes away before.
func (s *sender) send(ctx context.Context, m *message) error {
	p := m.params()
	c, err := s.h.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	c.OnNotify = func(method string, params json.RawMessage) {
		if method == ipc.NotifyState {
			s.notified(m, params)
		}
	}
	p.Stream = s.r.IntN(2) == 0
	p.Partial, p.Place, p.Approvals = p.Stream, p.Stream, p.Stream
	if s.r.IntN(8) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(1+s.r.IntN(100))*time.Millisecond)
		defer cancel()
	}
	var reply ipc.Reply
	if err := c.Call(ctx, ipc.MethodSend, p, &reply); err != nil {
		return s.failed(m, err)
	}
	s.replied(m, &reply)
	return nil
}

func (s *sender) notified(m *message, params json.RawMessage) {
	var st ipc.MessageState
	if json.Unmarshal(params, &st) != nil || st.ID == "" {
		return
	}
	if st.State == running {
		s.notes.tell(running)
	} else {
		s.notes.tell(accepted)
	}
	s.notes.accepted(m, st.ID)
	s.notes.ended(st.ID, st.State)
}

func (s *sender) replied(m *message, r *ipc.Reply) {
	s.notes.tell(done)
	s.notes.accepted(m, r.ID)
	if r.Outcome != "success" && r.Outcome != "denied" {
		s.notes.ended(r.ID, "failed")
		return
	}
	s.notes.ended(r.ID, "done")
	s.notes.answered(m, r.ID, r.Text)
}

// failed notes what an error says of a message. One with an id is a promise
// that the message is on record.
func (s *sender) failed(m *message, err error) error {
	e, ok := errors.AsType[*ipc.Error](err)
	switch {
	case !ok:
		return err
	case e.Data == nil || e.Data.ID == "":
		s.notes.refused()
		return err
	}
	s.notes.accepted(m, e.Data.ID)
	s.notes.ended(e.Data.ID, stateOf(e))
	return err
}

// stateOf is the end that an error of a message stands for; empty for none.
func stateOf(e *ipc.Error) string {
	switch {
	case e.Data.Reason == "journal" || e.Data.Reason == "orphan":
		return ""
	case e.Code == ipc.CodeCancelled:
		return "cancelled"
	case e.Code == ipc.CodeExpired:
		return "expired"
	case e.Code == ipc.CodeUnknown:
		return "unknown"
	case e.Code == ipc.CodeFailed, e.Code == ipc.CodeCannotRun:
		return "failed"
	}
	return ""
}

func (s *sender) cancel(ctx context.Context) error {
	id := s.notes.someID(s.r)
	if id == "" {
		return nil
	}
	st, err := call[ipc.MessageState](ctx, s.h, ipc.MethodCancel, ipc.MessageID{ID: id})
	if err == nil {
		s.notes.ended(st.ID, st.State)
	}
	return err
}

func (s *sender) wait(ctx context.Context) error {
	id := s.notes.someID(s.r)
	if id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+s.r.IntN(200))*time.Millisecond)
	defer cancel()
	if s.r.IntN(2) == 0 { // its output too, and then perhaps its end
		_, err := call[ipc.StreamEnd](ctx, s.h, ipc.MethodStream, ipc.Stream{ID: id, Partial: true, Place: true})
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	st, err := call[ipc.MessageState](ctx, s.h, ipc.MethodWait, ipc.Wait{IDs: []string{id}})
	switch {
	case err == nil:
		s.notes.ended(st.ID, st.State)
	case errors.Is(err, context.DeadlineExceeded):
		return nil
	}
	return err
}

// decide allows most of the tool calls that wait, denies a few and leaves others
// to their deadline, until ctx ends or the daemon is gone. Now and then it decides about
// a message that holds its conversation, or opens an account.
func (s *sender) decide(ctx context.Context) {
	seen := map[string]bool{}
	for n := 1; sys.Sleep(ctx, 20*time.Millisecond); n++ {
		if n%8 == 0 {
			s.judge(ctx, true)
			s.open(ctx, false)
		}
		list, err := call[ipc.ApprovalList](ctx, s.h, ipc.MethodApprovals, ipc.ApprovalFilter{})
		if err != nil {
			return
		}
		for _, a := range list.Approvals {
			if x := s.r.IntN(10); !seen[a.ID] && x < 8 {
				call[ipc.Approval](ctx, s.h, ipc.MethodDecide, ipc.Decide{ID: a.ID, Allow: x < 6})
			}
			seen[a.ID] = true
		}
	}
}
