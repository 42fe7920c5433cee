package attach

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/procs"
)

// watchEvery is how often it is looked whether a terminal still has its conversation, and
// which that is. Its client reports the end at once.
const watchEvery = 500 * time.Millisecond

// Report answers session.attached: a client says which process its program is, or that it
// has ended.
func (r *Registry) Report(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.Attached
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	a := r.withID(p.ID)
	if a == nil {
		return nil, fault.New(ipc.CodeNotFound, "not-attached", fmt.Errorf("no terminal %q has a conversation", ipc.Clip(p.ID, 64)))
	}
	if p.PID > 0 {
		r.mu.Lock()
		a.program = procs.Identify(p.PID)
		r.mu.Unlock()
		if err := r.record(a); err != nil {
			return nil, fault.New(ipc.CodeFailed, "journal", err)
		}
		r.follow(a)
	}
	select {
	case a.news <- struct{}{}:
	default:
	}
	return struct{}{}, nil
}

// KeyOf returns the conversation of the terminal with a mark; false if there is none.
func (r *Registry) KeyOf(mark string) (k pool.Key, ok bool) {
	if a := r.withID(mark); a != nil {
		return a.key, true
	}
	return k, false
}

func (r *Registry) withID(id string) *attachment {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.at {
		if a.id == id {
			return a
		}
	}
	return nil
}

// Restore takes up the attachments of an earlier daemon: it holds their conversations before
// any message can go on.
func (r *Registry) Restore() error {
	var found []*attachment
	err := r.o.Conversations.List(func(k pool.Key, s journal.Session) error {
		if s.Attached != nil {
			found = append(found, r.restored(k, &s))
		}
		return nil
	})
	if damage, ok := errors.AsType[*journal.DamageError](err); ok { // that conversation cannot go on anyway
		r.o.Log.Error("conversation passed over", "err", damage)
		err = nil
	}
	for _, a := range found {
		r.mu.Lock()
		r.at[a.key] = a
		r.mu.Unlock()
		r.o.Hold(a.key, a.reason())
		r.watch(a)
	}
	return err
}

// restored returns the attachment on record. Of an earlier boot its processes are gone, and
// their numbers may be of others.
func (r *Registry) restored(k pool.Key, s *journal.Session) *attachment {
	at := s.Attached
	a := &attachment{id: at.ID, key: k, since: time.Now(), session: s.ID, config: at.Config, news: make(chan struct{}, 1)}
	if at.Boot == r.o.Boot {
		a.client, a.program = procs.ID(at.Client), procs.ID(at.Program)
	}
	return a
}

// watch releases the conversation when the terminal has ended, if the daemon does not end
// before.
func (r *Registry) watch(a *attachment) {
	r.o.Log.Info("conversation is in a terminal", "team", a.key.Team, "session", a.key.Session, "client", a.client.PID)
	r.o.Goroutines.Go(func() {
		select {
		case <-r.o.Opened:
		case <-r.o.Serving.Done():
			return
		}
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for r.lasts(a) {
			select {
			case <-r.o.Serving.Done():
				return
			case <-a.news:
			case <-tick.C:
			}
		}
		r.end(a)
	})
}

// lasts reports whether the terminal still has the conversation.
func (r *Registry) lasts(a *attachment) bool {
	r.follow(a)
	r.mu.Lock()
	client, program, mine := a.client, a.program, r.at[a.key] == a
	r.mu.Unlock()
	switch {
	case !mine: // the client has asked again
		return false
	case program.PID == 0:
		return client.PID != 0 && client.Alive()
	case !program.Alive():
		return false
	case !client.Alive():
		r.hangUp(a, program)
	}
	return true
}

// follow looks which conversation the program has open. The process that the client has
// started may be a script around it, and a client may die before it can tell which it is:
// then the program is the process that has the conversation open and the mark. Only Claude
// Code says which conversation that is.
func (r *Registry) follow(a *attachment) {
	r.mu.Lock()
	config, session, program := a.config, a.session, a.program.PID
	r.mu.Unlock()
	if config == "" {
		return
	}
	if id := claude.SessionOf(config, program); id != "" {
		r.mu.Lock()
		a.session = id
		r.mu.Unlock()
		return
	}
	pid := claude.OpenBy(config, session, 0)
	if pid == 0 || procs.Mark(pid) != a.id {
		return
	}
	r.mu.Lock()
	a.program, a.hungUp = procs.Identify(pid), time.Time{}
	r.mu.Unlock()
	if err := r.record(a); err != nil {
		r.o.Log.Warn("process of a terminal not recorded", "team", a.key.Team, "session", a.key.Session, "err", err)
	}
}

// hangUp ends a program that has lost its terminal.
func (r *Registry) hangUp(a *attachment, program procs.ID) {
	r.mu.Lock()
	since := a.hungUp
	if since.IsZero() {
		a.hungUp = time.Now()
	}
	r.mu.Unlock()
	switch {
	case since.IsZero():
		r.o.Log.Warn("a terminal is gone, and its program is ended", "team", a.key.Team, "session", a.key.Session, "pid", program.PID)
		program.Signal(syscall.SIGHUP)
	case time.Since(since) > r.o.Grace():
		program.Signal(syscall.SIGKILL)
	}
}

// end records what became of the conversation in the terminal, and releases it.
func (r *Registry) end(a *attachment) {
	r.mu.Lock()
	mine, session := r.at[a.key] == a, a.session
	r.mu.Unlock()
	if !mine {
		return
	}
	if other := r.ofOther(a.key, session); other != "" {
		r.o.Log.Warn("the terminal has changed to a conversation of another team", "team", a.key.Team, "session", a.key.Session, "other", other)
		session = ""
	}
	if err := r.o.Conversations.Detach(a.key, session, a.config); err != nil {
		r.o.Log.Error("end of a terminal not recorded", "team", a.key.Team, "session", a.key.Session, "err", err)
	}
	r.o.Log.Info("conversation is back from a terminal", "team", a.key.Team, "session", a.key.Session, "after", time.Since(a.since).Round(time.Second).String())
	r.drop(a)
}

// ofOther returns the name of another conversation that has that session; empty for none.
func (r *Registry) ofOther(k pool.Key, session string) (name string) {
	r.o.Conversations.List(func(o pool.Key, s journal.Session) error {
		if o != k && s.ID == session {
			name = o.String()
		}
		return nil
	})
	return name
}
