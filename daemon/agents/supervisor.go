package agents

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"iris/config"
	"iris/daemon/conversation"
	"iris/daemon/store"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/procs"
)

// Options is what a Supervisor needs from the daemon. Only Adopted and the totals may be
// zero.
type Options struct {
	Paths         config.Paths
	Program       string                // the path of iris itself, for the built-in agent
	Prefix        string                // begins the ids of this daemon's processes
	FromShell     bool                  // the agents' base environment is that of the login shell
	Config        func() *config.Config // the current configuration
	Look          func()                // reads the configuration again if it has changed
	Store         *store.Store
	Conversations *conversation.Registry
	Log           *slog.Logger

	// From the program before this one.
	Adopted            []int // pids of agents that are children of this process
	OwnTurns, OwnCosts int64 // see OwnTotals

	// The daemon's lifetime.
	Goroutines   *sync.WaitGroup // waits for the Supervisor's goroutines
	Opened       <-chan struct{} // closed when the daemon is up
	Serving      context.Context // ends when the daemon does
	HasSuccessor func() bool     // reports whether another daemon follows at once

	// Approvals.
	Asked     func(k pool.Key, process string, p *claude.Process, r claude.Request) // adds a tool call that waits for permission
	Withdrawn func(process, request string)                                         // reports that a tool call no longer waits
	Approvals func(process string) []ipc.Approval                                   // lists the approvals that a process waits for

	Terminal func(mark string) (k pool.Key, ok bool) // returns the conversation that a person has in the terminal with that mark

	// Messages.
	Waits      func(message, process, on string) // reports why the turn of a message does not begin
	Teamless   func(pool.Key)                    // holds a conversation whose team is not in the configuration
	NeedsSpool func(process string) bool         // reports whether a spool may be needed to settle a message
	FreeSpace  func()                            // frees space on the disk that is not needed
}

// A Supervisor starts the agents that the pool wants, adopts those of the program before
// this one, and watches orphans. Any goroutine may call its methods.
type Supervisor struct {
	Pool     *pool.Pool[*claude.Process] // set before anything but Close is called
	Env      *Environment
	Reaper   *procs.Reaper
	Follower *claude.Follower

	o       Options
	own     ownWork
	gone    goneAgents
	ran     sync.Map          // commands of teams that have started an agent
	orphans []Orphan          // not changed after the start
	adopted map[string]string // the message that each adopted process runs; empty for none
}

// New returns a Supervisor without its pool. Its owner closes it. If FromShell is set, it
// asks the login shell in the background.
func New(o Options) (*Supervisor, error) {
	s := &Supervisor{o: o, adopted: map[string]string{}, gone: goneAgents{news: make(chan struct{}, 1)}}
	s.own.turns.Store(o.OwnTurns)
	s.own.costs.Store(o.OwnCosts)
	var err error
	if s.Reaper, err = procs.NewReaper(o.Adopted...); err != nil {
		return nil, err
	}
	s.Follower = claude.NewFollower()
	if s.Env = ownEnvironment(); o.FromShell {
		s.Env = shellEnvironment(o.Serving, s.Reaper, o.Goroutines)
	}
	return s, nil
}

// Close ends the follower and the reaper. The pool must be closed before, and the
// goroutines must have ended.
func (s *Supervisor) Close() {
	s.Follower.Close()
	s.Reaper.Close()
}

// Warnings lists what is wrong around the agents.
func (s *Supervisor) Warnings() []string {
	warnings := s.Env.Warnings()
	if err := s.Follower.Polls(); err != nil {
		warnings = append(warnings, pollWarning("/proc/sys", err))
	}
	return warnings
}

// pollWarning says why the output of agents is polled, and what to do. The directory is
// that of the settings of Linux; other systems have no inotify.
func pollWarning(sysctls string, err error) string {
	setting := ""
	switch {
	case errors.Is(err, syscall.EMFILE):
		setting = "fs.inotify.max_user_instances"
	case errors.Is(err, syscall.ENOSPC):
		setting = "fs.inotify.max_user_watches"
	}
	text, unread := os.ReadFile(filepath.Join(sysctls, strings.ReplaceAll(setting, ".", "/")))
	if setting == "" || unread != nil {
		return fmt.Sprintf("the output of agents cannot be watched, so that it is polled: %v", err)
	}
	limit, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return fmt.Sprintf("the output of agents is polled, since other programs of this user have used up inotify (%s = %d); run: sudo sysctl %s=%d && iris daemon restart",
		setting, limit, setting, max(512, 4*limit))
}

// Info is an agent and what the pool knows about it.
type Info = pool.Process[*claude.Process]

// Live lists the processes that have started, without orphans.
func (s *Supervisor) Live() []Info {
	return slices.DeleteFunc(s.Pool.Snapshot().Processes, func(p Info) bool { return p.Agent == nil })
}

// team returns a team by its name, or by its absolute directory.
func (s *Supervisor) team(name string) (*config.Team, error) { return s.o.Config().Lookup(name) }

// key is conversation.KeyOf with the current configuration.
func (s *Supervisor) key(team, session string) (pool.Key, error) {
	return conversation.KeyOf(s.o.Config(), team, session)
}
