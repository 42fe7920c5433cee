package main

import (
	"context"
	"errors"
	"io"

	"iris/ipc"
)

// parseAgents reads TEAM[@SESSION] for a command that stops agents: a team
// alone stands for its own session and all of its named ones.
func parseAgents(arg string) (ipc.Target, error) {
	team, session, err := parseTarget(arg)
	return ipc.Target{Team: team, Session: session, AllSessions: session == ""}, err
}

// runningOnly has calls start no daemon: without one no agent lives, which is
// what none says.
func (g globals) runningOnly(ctx context.Context, method string, params, result any, none error) error {
	g.noStart = true
	err := g.call(ctx, method, params, result)
	if errors.Is(err, ipc.ErrNoDaemon) {
		return none
	}
	return err
}

// notRunning says that what arg names is not.
func notRunning(arg string) *ipc.Error {
	return ipc.Errorf(ipc.CodeNotFound, "team %s is not running", arg)
}

// printStopped writes which agents were stopped, one a line, and on stderr
// which ones go later. None at all is the error none.
func printStopped(stdout, stderr io.Writer, asJSON bool, s ipc.Stopped, none error) error {
	if len(s.Stopped)+len(s.Later) == 0 {
		return none
	}
	if asJSON {
		s.Stopped, s.Later = orEmpty(s.Stopped), orEmpty(s.Later)
		return printJSON(stdout, s)
	}
	if err := printNames(stdout, s.Stopped); err != nil {
		return err
	}
	for _, p := range s.Later {
		say(stderr, "%s goes when its turn is over", name(p.Team, p.Session))
	}
	return nil
}

const stoppedJSON = `

JSON
  an object with two arrays, stopped and later (agents that go when their turn
  is over), of the objects that "iris ps --json" prints`
