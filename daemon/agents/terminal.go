package agents

import (
	"context"
	"errors"
	"fmt"

	"iris/config"
	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool"
	"iris/pool/adapter"
	"iris/pool/claude"
	"iris/pool/procs"
	"iris/pool/turn"
)

// Terminal returns the program that a person is to run in a terminal in the place of the
// agent of a conversation, with the directory, environment and arguments of the team, and
// the id of the conversation. The program gets the mark, so that commands that it runs count
// as an agent's. With fork it works on a copy. The error is an *ipc.Error.
//
// The environment is computed here and not in the client: it is that of the agents, in
// which alone the conversation and the account are the same, and not that of the shell in
// which the command happens to be typed.
func (s *Supervisor) Terminal(ctx context.Context, k pool.Key, mark string, fork bool) (*claude.Terminal, string, error) {
	p, id, err := s.terminal(ctx, k, mark, fork)
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	if _, is := errors.AsType[*ipc.Error](err); err != nil && !is {
		err = fault.Of(k, "", err)
	}
	return p, id, err
}

func (s *Supervisor) terminal(ctx context.Context, k pool.Key, mark string, fork bool) (*claude.Terminal, string, error) {
	t, env, err := s.workplace(ctx, k, turn.Variant{})
	if err != nil {
		return nil, "", err
	}
	switch {
	case t.Adapter() != "":
		return s.programTerminal(k, t, mark, env, fork)
	case t.Agent != "claude":
		return nil, "", noTerminal(k, t.Agent)
	}
	o := s.agentOptions(k, t, mark, env)
	o.Env = env.Assignments() // it is no agent: its processes are not listed or ended as an agent's
	if err := s.converse(ctx, &o, k, t, false); err != nil {
		return nil, "", err
	}
	if o.RewindTo != "" {
		e := fault.New(ipc.CodeFull, "rewound", fmt.Errorf("team %s: its conversation was rewound, and a terminal would go on where it was before", k))
		e.Data.Hint = "send it a message first: the conversation then goes on from there"
		return nil, "", e
	}
	p, err := claude.NewTerminal(o, fork)
	if err != nil {
		return nil, "", s.notFound(env, &pool.StartError{Team: k.Team, Permanent: true, Err: err})
	}
	s.o.Conversations.MoveTo(k, t.Dir)
	return p, o.SessionID, nil
}

// programTerminal is Terminal for a program behind an adapter. It keeps its conversations
// under ids of its own.
func (s *Supervisor) programTerminal(k pool.Key, t *config.Team, mark string, env *Built, fork bool) (*claude.Terminal, string, error) {
	was, _, err := s.o.Conversations.Get(k)
	if err != nil {
		return nil, "", err
	}
	id, err := adapter.Conversation(s.o.Paths.State, was.ID)
	if err != nil {
		return nil, "", err
	}
	argv := adapter.Terminal(t.Adapter(), t.Command, id, fork)
	switch {
	case argv == nil:
		return nil, "", noTerminal(k, t.Program())
	case id == "":
		e := fault.New(ipc.CodeNotFound, "no-conversation", fmt.Errorf("team %s has no conversation yet", k))
		e.Data.Hint = fmt.Sprintf("%q begins one", fault.Command("send", k)+" MESSAGE")
		return nil, "", e
	}
	vars := append(env.Assignments(), procs.EnvProcess+"="+mark, "PWD="+t.Dir)
	path, err := claude.Program(claude.Options{Command: argv[0], Dir: t.Dir, Env: vars})
	if err != nil {
		return nil, "", s.notFound(env, &pool.StartError{Team: k.Team, Permanent: true, Err: err})
	}
	s.o.Conversations.MoveTo(k, t.Dir)
	return &claude.Terminal{Path: path, Args: argv, Env: vars, Dir: t.Dir}, was.ID, nil
}

// noTerminal says that an agent has no program for a terminal.
func noTerminal(k pool.Key, agent string) error {
	e := fault.New(ipc.CodeUsage, "no-terminal", fmt.Errorf("team %s has the agent %q, which has no program for a terminal", k.Team, agent))
	e.Data.Hint = fmt.Sprintf("%q talks to it", fault.Command("send", k)+" MESSAGE")
	return e
}
