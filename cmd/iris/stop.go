package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/pflag"

	"iris/ipc"
)

// stopOptions are what the commands that stop agents have in common.
type stopOptions struct {
	*globals
	sessions bool
	json     bool
}

func (o *stopOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.sessions, "sessions", false, "all sessions of the team, not only its own")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

// target reads TEAM[@SESSION] as "ps -q" prints it: exactly that conversation,
// or with --sessions every one of the team.
func (o *stopOptions) target(arg string) (ipc.Target, error) {
	team, session, err := parseTarget(arg)
	if err == nil && o.sessions && session != "" {
		err = usagef("leave the session out", "--sessions stands for all sessions of a team, and %q names one", arg)
	}
	return ipc.Target{Team: team, Session: session, AllSessions: o.sessions}, err
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
	return ipc.Errorf(ipc.CodeNotFound, "no agent of team %s is running", arg)
}

// printStopped writes which agents were stopped, one a line, and on stderr
// which ones go later. None at all is the error none, which may be nil.
func printStopped(stdout, stderr io.Writer, asJSON bool, s ipc.Stopped, none error) error {
	if len(s.Stopped)+len(s.Later) == 0 && none != nil {
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
