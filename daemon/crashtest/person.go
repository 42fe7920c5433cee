package main

import (
	"context"
	"strings"
	"time"

	"iris/ipc"
)

// judge does what a person does about a message whose end nobody knows: sends it again,
// or says how it ended. holds chooses among those that hold their conversation.
func (s *sender) judge(ctx context.Context, holds bool) error {
	list, err := call[ipc.MessageList](ctx, s.h, ipc.MethodMessages, ipc.MessageQuery{States: []string{"unknown"}, Limit: 20})
	if err != nil || len(list.Messages) == 0 {
		return err
	}
	id := list.Messages[s.r.IntN(len(list.Messages))].ID
	r, err := call[ipc.Message](ctx, s.h, ipc.MethodShow, ipc.MessageRef{ID: id})
	if err != nil || strings.HasPrefix(r.Origin, "hang:") || holds && r.OnUnknown != "hold" {
		return err
	}
	if s.r.IntN(3) > 0 {
		return s.retry(ctx, id)
	}
	return s.resolve(ctx, id, []string{"done", "failed", "cancelled"}[s.r.IntN(3)])
}

// release says of all messages that hold their conversation that they are done.
func (s *sender) release(ctx context.Context) {
	list, _ := call[ipc.MessageList](ctx, s.h, ipc.MethodMessages, ipc.MessageQuery{States: []string{"unknown"}, Limit: page})
	for _, m := range list.Messages {
		if r, err := call[ipc.Message](ctx, s.h, ipc.MethodShow, ipc.MessageRef{ID: m.ID}); err == nil && r.OnUnknown == "hold" {
			s.resolve(ctx, m.ID, "done")
		}
	}
}

// retry asks for another attempt, and in one of three cases repeats the request.
func (s *sender) retry(ctx context.Context, id string) error {
	p := ipc.Retry{ID: id, NewID: ipc.NewID(time.Now())}
	s.notes.retry(id, p.NewID)
	st, err := call[ipc.MessageState](ctx, s.h, ipc.MethodRetry, p)
	if s.r.IntN(3) == 0 {
		st, err = call[ipc.MessageState](ctx, s.h, ipc.MethodRetry, p)
	}
	if m := s.notes.message(id); err == nil && m != nil {
		s.notes.accepted(m, st.ID)
	}
	return err
}

func (s *sender) resolve(ctx context.Context, id, state string) error {
	s.notes.resolve(id, state)
	st, err := call[ipc.MessageState](ctx, s.h, ipc.MethodResolve, ipc.Resolve{ID: id, State: state, Note: "seen by the crash test"})
	if err == nil {
		s.notes.ended(st.ID, st.State)
	}
	return err
}

// open has the messages of limited accounts go on: of all, or sometimes of one.
func (s *sender) open(ctx context.Context, all bool) {
	list, _ := call[ipc.AccountList](ctx, s.h, ipc.MethodAccounts, struct{}{})
	for _, a := range list.Accounts {
		if a.State != "open" && (all || s.r.IntN(8) == 0) {
			s.notes.open(a.Name)
			call[ipc.Account](ctx, s.h, ipc.MethodOpen, ipc.AccountName{Name: a.Name})
		}
	}
}

// stopAgents kills, evicts or restarts an agent, or all of its team, as commands do. A kill
// takes the turn with it, and is noted before: the daemon may be gone when it would answer.
func (s *sender) stopAgents(ctx context.Context) error {
	list, err := call[ipc.ProcessList](ctx, s.h, ipc.MethodList, struct{}{})
	if err != nil || len(list.Processes) == 0 {
		return err
	}
	p := list.Processes[s.r.IntN(len(list.Processes))]
	target := ipc.Target{Team: p.Team, Session: p.Session}
	if s.r.IntN(8) == 0 {
		target = ipc.Target{Team: p.Team, AllSessions: true}
	}
	method := []string{ipc.MethodKill, ipc.MethodEvict, ipc.MethodRestart}[s.r.IntN(3)]
	for _, p := range list.Processes {
		if method == ipc.MethodKill && p.Team == target.Team && (target.AllSessions || p.Session == target.Session) {
			s.notes.kill(p.ID, p.Team)
		}
	}
	stopped, err := call[ipc.Stopped](ctx, s.h, method, target)
	for _, p := range stopped.Stopped {
		if method == ipc.MethodKill {
			s.notes.kill(p.ID, p.Team)
		}
	}
	s.notes.stop(len(stopped.Stopped) + len(stopped.Later))
	return err
}
