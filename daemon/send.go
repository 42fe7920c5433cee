package daemon

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"iris/config"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// MaxMessage is the size of the largest message, in bytes.
const MaxMessage = 10 << 20

// send answers message.send: it queues the message, says its id and place at
// once, and waits for the end. A caller that goes away ends only the waiting.
func (d *Daemon) send(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.Send
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if err := checkText(p.Text); err != nil {
		return nil, err
	}
	k, err := d.key(p.Team, p.Session)
	if err != nil {
		return nil, err
	}
	if isFresh(k) {
		return nil, coded(ipc.CodeUsage, "bad-name", fmt.Errorf("session %q is that of a single message and takes no other", p.Session))
	}
	id := d.ids.next(time.Now())
	if p.Fresh {
		k.Session = freshPrefix + id
	}
	end := make(chan ended, 1)
	t := d.turn(c, &p, k, id, end)
	place, err := d.pool.Submit(t)
	if err != nil {
		return nil, d.failure(k, id, err)
	}
	c.Notify(ipc.NotifyState, ipc.MessageState{ID: id, State: "queued", Position: place})
	var e ended
	select {
	case e = <-end:
	case <-ctx.Done():
		select {
		case e = <-end: // the daemon stops, and that is how this turn ended
		default:
			d.pool.Detach(id)
			return nil, ctx.Err()
		}
	}
	if e.err == nil && e.res.Outcome == pool.OutcomeInterrupted {
		e.err = pool.ErrCancelled
	}
	if e.err != nil {
		return nil, d.failure(k, id, e.err)
	}
	return d.reply(k, id, e.res, p.EnvKeys), nil
}

// ended is how a turn did.
type ended struct {
	res *pool.Result
	err error
}

// turn makes the pool's turn of a message: its sender hears when it runs, end
// gets how it ended.
func (d *Daemon) turn(c *ipc.Call, p *ipc.Send, k pool.Key, id string, end chan<- ended) *pool.Turn {
	var agent *claude.Process // whose answer it is
	size := len(p.Text)
	return &pool.Turn{
		ID: id, Key: k, Text: p.Text, Fresh: p.Fresh,
		Parent: d.parent(c.Peer.PID),
		Begin: func(proc pool.Process) error {
			agent, _ = proc.Agent.(*claude.Process)
			c.Notify(ipc.NotifyState, ipc.MessageState{ID: id, State: "running", Process: proc.ID})
			return nil
		},
		Finish: func(res *pool.Result, err error) {
			d.count(size, res)
			if agent != nil {
				agent.Taken()
			}
			end <- ended{res, err}
		},
	}
}

// large is the size of a text from which on memory is given back afterwards.
const large = 64 << 10

func (d *Daemon) count(size int, res *pool.Result) {
	if size > large || res != nil && len(res.Text) > large {
		d.tidy.Reset(tidyAfter)
	}
	if res != nil {
		d.messages.Add(1)
		d.costs.Add(int64(res.CostUSD*1e6 + 0.5))
	}
}

func checkText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return coded(ipc.CodeUsage, "blank", errors.New("the message is blank"))
	case len(text) > MaxMessage:
		return coded(ipc.CodeUsage, "too-large", fmt.Errorf("the message has %d bytes, more than the %d that are allowed", len(text), MaxMessage))
	case !utf8.ValidString(text):
		return coded(ipc.CodeUsage, "not-utf8", errors.New("the message is not valid UTF-8"))
	}
	return nil
}

// key checks the names of a conversation and returns its key. A directory
// stands for the team that it belongs to, or for itself.
func (d *Daemon) key(team, session string) (pool.Key, error) {
	if session != "" && !strings.HasPrefix(session, freshPrefix) {
		if err := config.CheckName("session", session); err != nil {
			return pool.Key{}, coded(ipc.CodeUsage, "bad-name", err)
		}
	}
	t, err := d.team(team)
	if err != nil {
		return pool.Key{}, teamError(err)
	}
	return pool.Key{Team: t.Name, Session: session}, nil
}

// reply is what a client sees of a turn that the agent ended by its own word.
func (d *Daemon) reply(k pool.Key, id string, res *pool.Result, callerKeys []string) ipc.Reply {
	t, err := d.team(k.Team)
	outcome := res.Outcome
	if err == nil && t.DeniedOK && outcome == pool.OutcomeDenied {
		outcome = pool.OutcomeSuccess
	}
	r := ipc.Reply{
		ID: id, Team: k.Team, Session: k.Session, SessionID: res.SessionID,
		Outcome: string(outcome), Text: ipc.QuoteString(nil, res.Text), Error: res.Err,
		Subtype: res.Subtype, APIStatus: res.Status, Turns: res.Turns,
		CostUSD: math.Round(res.CostUSD*1e8) / 1e8, Duration: res.Duration.Milliseconds(),
		Usage: ipc.Usage{Input: res.Usage.Input, Output: res.Usage.Output, CacheRead: res.Usage.CacheRead, CacheWrite: res.Usage.CacheWrite},
	}
	for _, x := range res.Denials {
		r.Denials = append(r.Denials, ipc.Denial{Tool: x.Tool, Input: x.Input})
	}
	switch {
	case err != nil:
	case outcome == pool.OutcomeNotLoggedIn:
		r.Hint = d.loginHint(t, callerKeys)
	case outcome == pool.OutcomeDenied:
		r.Hint = fmt.Sprintf("allow the tool in %s/.claude/settings.json, or by args of team %s", t.Dir, t.Name)
	}
	return r
}

// cancel answers message.cancel: a message that waits is gone at once, a turn
// is interrupted and its agent kept. Whoever waits for it is told.
func (d *Daemon) cancel(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.MessageID
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	state := "cancelled"
	for _, proc := range d.pool.Snapshot().Processes {
		if proc.Turn == p.ID {
			state = "interrupting"
		}
	}
	if err := d.pool.Cancel(p.ID); err != nil {
		return nil, coded(ipc.CodeNotFound, "no-such-message", fmt.Errorf("no message %q waits or runs", p.ID))
	}
	return ipc.MessageState{ID: p.ID, State: state}, nil
}

// loginHint says how the agents of a team get credentials; a key that the
// caller's shell has and the agents have not is named.
func (d *Daemon) loginHint(t *config.Team, callerKeys []string) string {
	vars, err := d.env.build(t, d.opts.Paths.Socket)
	if err != nil {
		return ""
	}
	missing := slices.DeleteFunc(slices.Clone(callerKeys), func(name string) bool {
		return slices.ContainsFunc(vars, func(v ipc.EnvVar) bool { return v.Name == name })
	})
	if len(missing) > 0 {
		return fmt.Sprintf("your shell has %s, the agents of team %s have not: put it into an env_file of the team (see `iris config show --env %s`)",
			strings.Join(missing, ", "), t.Name, t.Name)
	}
	return "run `claude` once and log in, or give the team an env_file with ANTHROPIC_API_KEY"
}

// ids makes message ids: 16 characters that sort by time, unique in one daemon
// even within a millisecond.
type ids struct {
	mu   sync.Mutex
	last uint64 // milliseconds of the last id
	tail uint32 // 30 bits: random for the first id of a millisecond, then counted up
}

const idLetters = "0123456789abcdefghjkmnpqrstvwxyz"

func (g *ids) next(now time.Time) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	ms := uint64(now.UnixMilli())
	if ms > g.last {
		var b [4]byte
		rand.Read(b[:])
		g.last, g.tail = ms, binary.BigEndian.Uint32(b[:])>>3
	} else {
		g.tail++
	}
	var id [16]byte
	for i, v := 9, g.last; i >= 0; i, v = i-1, v>>5 {
		id[i] = idLetters[v&31]
	}
	for i, v := 15, g.tail; i >= 10; i, v = i-1, v>>5 {
		id[i] = idLetters[v&31]
	}
	return string(id[:])
}
