package attach

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"iris/config/sys"
	"iris/daemon/agents"
	"iris/daemon/conversation"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/procs"
)

// Options is what a Registry needs from the daemon.
type Options struct {
	Boot          string // boot id of the machine
	Key           func(team, session string) (pool.Key, error)
	Grace         func() time.Duration // for the end of a program that has lost its terminal
	Agents        *agents.Supervisor
	Pool          *pool.Pool[*claude.Process]
	Conversations *conversation.Registry
	Log           *slog.Logger

	Hold    func(k pool.Key, reason string) // holds a conversation
	Release func(pool.Key)                  // ends Hold

	// The daemon's lifetime.
	Goroutines *sync.WaitGroup // waits for the Registry's goroutines
	Opened     <-chan struct{} // closed when the daemon is up
	Serving    context.Context // ends when the daemon does
}

// A Registry knows the conversations that persons have in terminals. Any goroutine may call
// its methods.
type Registry struct {
	o Options

	claiming sync.Mutex // held while a conversation is claimed and held, or given back and released; taken before mu

	mu sync.Mutex // protects at and the fields of the attachments; held for a moment
	at map[pool.Key]*attachment
}

// attachment is a conversation that a person has, or is about to have, in a terminal.
type attachment struct {
	// Not changed.
	id     string // also the mark in the environment of the program
	key    pool.Key
	client procs.ID // the command of iris
	since  time.Time
	news   chan struct{} // has one element if the client has reported something

	// Protected by Registry.mu.
	program procs.ID  // zero until it is known
	session string    // id of the conversation, which the program may change
	config  string    // directory of Claude Code; empty for another program
	hungUp  time.Time // when the program was ended because its client is gone
}

// New returns a Registry without attachments.
func New(o Options) *Registry { return &Registry{o: o, at: map[pool.Key]*attachment{}} }

// Attach answers session.attach.
func (r *Registry) Attach(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.Attach
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	k, err := r.o.Key(p.Team, p.Session)
	if err == nil {
		err = conversation.CheckLasting(k)
	}
	if err != nil {
		return nil, err
	}
	a := r.newAttachment(k, procs.Identify(c.Peer.PID))
	if a.client.PID == 0 {
		return nil, fault.New(ipc.CodeFailed, "failed", fmt.Errorf("team %s: the caller's process is not known", k))
	}
	if p.Fork {
		t, id, err := r.o.Agents.Terminal(ctx, k, a.id, true)
		return view(k, "", id, t), err
	}
	if err := r.reserve(a); err != nil {
		return nil, err
	}
	t, err := r.begin(ctx, c, a, p.Now)
	if err != nil {
		r.drop(a)
		return nil, err
	}
	r.watch(a)
	return view(k, a.id, a.session, t), nil
}

func view(k pool.Key, mark, session string, t *claude.Terminal) ipc.Terminal {
	v := ipc.Terminal{ID: mark, Team: k.Team, Session: k.Session, SessionID: session}
	if t != nil {
		v.Path, v.Args, v.Env, v.Dir = t.Path, t.Args, t.Env, t.Dir
	}
	return v
}

func (r *Registry) newAttachment(k pool.Key, client procs.ID) *attachment {
	return &attachment{id: r.o.Agents.TerminalMark(), key: k, client: client, since: time.Now(), news: make(chan struct{}, 1)}
}

// reserve claims a conversation and holds it. A client whose answer was lost may ask again.
func (r *Registry) reserve(a *attachment) error {
	r.claiming.Lock()
	defer r.claiming.Unlock()
	r.mu.Lock()
	old := r.at[a.key]
	if old == nil || old.client == a.client {
		r.at[a.key] = a
	}
	r.mu.Unlock()
	if old != nil && old.client != a.client {
		return taken(old)
	}
	r.o.Hold(a.key, a.reason())
	return nil
}

// reason is what the messages of the conversation wait for.
func (a *attachment) reason() string {
	return "somebody to leave the conversation (iris attach, pid " + strconv.Itoa(a.client.PID) + ")"
}

// taken says that somebody has the conversation in a terminal.
func taken(a *attachment) error {
	e := fault.New(ipc.CodeFull, "attached", fmt.Errorf("team %s: somebody has its conversation in a terminal (iris attach, pid %d)", a.key, a.client.PID))
	e.Data.Hint = fmt.Sprintf("leave it there, and try again; %q looks at a copy", fault.Command("attach --fork", a.key))
	return e
}

// Check returns an error if somebody has the conversation in a terminal.
func (r *Registry) Check(k pool.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.at[k]; a != nil {
		return taken(a)
	}
	return nil
}

// drop undoes reserve.
func (r *Registry) drop(a *attachment) {
	r.claiming.Lock()
	defer r.claiming.Unlock()
	r.mu.Lock()
	mine := r.at[a.key] == a
	if mine {
		delete(r.at, a.key)
	}
	r.mu.Unlock()
	if mine {
		r.o.Release(a.key)
	}
}

// begin has the agent of the conversation go, and records the attachment.
func (r *Registry) begin(ctx context.Context, c *ipc.Call, a *attachment, now bool) (*claude.Terminal, error) {
	if err := r.letGo(ctx, c, a.key, now); err != nil {
		return nil, err
	}
	t, id, err := r.o.Agents.Terminal(ctx, a.key, a.id, false)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	a.session, a.config = id, t.Config
	r.mu.Unlock()
	if err := r.record(a); err != nil {
		return nil, fault.New(ipc.CodeFailed, "journal", err)
	}
	return t, nil
}

// record has the next daemon know of the attachment.
func (r *Registry) record(a *attachment) error {
	r.mu.Lock()
	rec := journal.Attachment{
		ID: a.id, Boot: r.o.Boot, Config: a.config, Client: journal.ProcessID(a.client), Program: journal.ProcessID(a.program),
	}
	r.mu.Unlock()
	return r.o.Conversations.Attach(a.key, &rec)
}

// lookEvery is how often it is looked whether an agent has come to rest. Only a person waits
// for that.
const lookEvery = 50 * time.Millisecond

// letGo returns when the conversation, which is held, has no agent any more. It waits for
// the end of a turn, or with now interrupts it.
func (r *Registry) letGo(ctx context.Context, c *ipc.Call, k pool.Key, now bool) error {
	match := func(o pool.Key) bool { return o == k }
	told, ended := "", ""
	for {
		p, lives := r.agentOf(k)
		switch {
		case !lives:
			return nil
		case p.State == pool.Idle:
			r.o.Pool.Evict(match, "iris attach")
		case now && p.State == pool.Busy && ended != p.Turn+p.ID:
			ended = p.Turn + p.ID
			if p.Turn == "" || p.Agent == nil || r.o.Pool.Cancel(p.Turn) != nil { // its own work, or an orphan
				r.o.Agents.EndNow(ctx, match)
			}
		}
		if on := waitsFor(&p); on != told && p.State != pool.Idle {
			told = on
			c.Notify(ipc.NotifyState, ipc.MessageState{ID: p.Turn, State: string(journal.Running), WaitsFor: on})
		}
		if !sys.Sleep(ctx, lookEvery) {
			return ctx.Err()
		}
	}
}

// waitsFor says what a person waits for.
func waitsFor(p *agents.Info) string {
	switch {
	case p.Turn != "":
		return "the turn of message " + p.Turn
	case p.State == pool.Busy:
		return "the agent's own work: " + cmp.Or(p.Works, "a turn of an earlier daemon")
	}
	return "its agent, which is " + string(p.State)
}

func (r *Registry) agentOf(k pool.Key) (agents.Info, bool) {
	for _, p := range r.o.Pool.Snapshot().Processes {
		if p.Key == k {
			return p, true
		}
	}
	return agents.Info{}, false
}
