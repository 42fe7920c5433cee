package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"iris/ipc"
	"iris/pool/turn"
)

const (
	defaultWait = 25 * time.Minute // clients end a silent call after 30 minutes
	longestWait = 24 * time.Hour
	maxAnswer   = 60 << 10 // bytes of the answers in one result
	maxIDs      = 100
)

type sendInput struct {
	To      string `json:"to" jsonschema:"a team, or TEAM@SESSION"`
	Message string `json:"message" jsonschema:"what the team is to do, with all that it needs to know"`
	Session string `json:"session,omitempty" jsonschema:"another conversation of the team than its own"`
	Wait    string `json:"wait,omitempty" jsonschema:"how long to wait for the answer, such as 90s or 10m; by default 25m; 0 to get the id at once"`
	Key     string `json:"key,omitempty" jsonschema:"a name for this message: with the same key it is sent once"`
	Fresh   bool   `json:"fresh,omitempty" jsonschema:"in a conversation of its own"`
	Model   string `json:"model,omitempty" jsonschema:"another model for this message; that starts another agent"`
}

// message is the state of a message, with its answer once it has ended.
type message struct {
	ID         string   `json:"id"`
	State      string   `json:"state" jsonschema:"queued, running, done, failed, cancelled, expired or unknown"`
	Answer     string   `json:"answer,omitempty"`
	NextOffset int      `json:"next_offset,omitempty" jsonschema:"where the next part of a long answer begins, for get_result"`
	Bytes      int      `json:"bytes,omitempty" jsonschema:"of the whole answer, if it is in parts"`
	Error      string   `json:"error,omitempty"`
	Denied     []string `json:"denied,omitempty" jsonschema:"tools that the team was not permitted to use"`
	CostUSD    float64  `json:"cost_usd,omitempty"`
	Note       string   `json:"note,omitempty"`
}

func (s *server) sendMessage(ctx context.Context, req *mcp.CallToolRequest, in sendInput) (message, error) {
	m := ipc.Send{Session: in.Session, Text: in.Message, Key: in.Key, Fresh: in.Fresh, Options: turn.Variant{Model: in.Model}, Origin: "mcp"}
	var err error
	if m.Team, m.Session, err = target(in.To, in.Session); err != nil {
		return message{}, err
	}
	wait, err := parseWait(in.Wait)
	if err != nil {
		return message{}, err
	}
	m.ID = ipc.NewID(time.Now())
	w := s.watch(ctx, req, wait)
	defer w.stop()
	if wait == 0 {
		var st ipc.MessageState
		err := w.accept(&m, func(c *ipc.Client) (err error) {
			st, err = c.Submit(w.long, m)
			return err
		})
		return message{ID: st.ID, State: st.State, Note: noteOn(st)}, err
	}
	var reply *ipc.Reply
	err = w.accept(&m, func(c *ipc.Client) (err error) {
		if heard := w.latest(); heard != "" { // accepted by a daemon that was lost
			reply, err = await(w.long, c, heard)
			return err
		}
		reply, err = c.Send(w.long, m)
		return err
	})
	return w.result(cmp.Or(w.latest(), m.ID), reply, err, 0, maxAnswer)
}

// await waits for the end of a message and returns its reply.
func await(ctx context.Context, c *ipc.Client, id string) (*ipc.Reply, error) {
	if _, err := c.Wait(ctx, ipc.Wait{IDs: []string{id}}); err != nil {
		return nil, err
	}
	return c.Result(ctx, ipc.MessageRef{ID: id})
}

// later is the note on a message that has not ended.
const later = "wait_message with this id gets the answer"

// noteOn is the note on a message that has not ended, with what it waits for.
func noteOn(st ipc.MessageState) string {
	if st.WaitsFor == "" {
		return later
	}
	return "it waits for " + st.WaitsFor + "; " + later
}

// target checks whom a message goes to.
func target(to, session string) (team, of string, err error) {
	if filepath.IsAbs(to) {
		return "", "", fmt.Errorf("%q is a directory, and a message goes to a team. list_teams lists the teams", to)
	}
	team, of, named := strings.Cut(to, "@")
	switch {
	case team == "":
		return "", "", errors.New("the name of the team is empty. list_teams lists the teams")
	case named && session != "" && of != session:
		return "", "", fmt.Errorf("%q names a session, and session names another. Leave one out", to)
	case !named:
		of = session
	}
	return team, of, nil
}

// parseWait reads how long to wait.
func parseWait(text string) (time.Duration, error) {
	if text == "" {
		return defaultWait, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > longestWait {
		return 0, fmt.Errorf("wait is %q: write it like 90s, 10m or 1h, at most 24h, or 0", ipc.Clip(text, 64))
	}
	return d, nil
}

type waitInput struct {
	IDs  []string `json:"ids" jsonschema:"ids of messages"`
	Any  bool     `json:"any,omitempty" jsonschema:"return when the first has ended"`
	Wait string   `json:"wait,omitempty" jsonschema:"how long to wait, such as 90s or 10m; by default 25m; 0 to look only"`
}

type messages struct {
	Messages []message `json:"messages"`
}

func (s *server) waitMessage(ctx context.Context, req *mcp.CallToolRequest, in waitInput) (out messages, err error) {
	wait, err := parseWait(in.Wait)
	switch {
	case err != nil:
		return out, err
	case len(in.IDs) == 0 || len(in.IDs) > maxIDs:
		return out, fmt.Errorf("%d ids: give 1 to %d", len(in.IDs), maxIDs)
	}
	w := s.watch(ctx, req, wait)
	defer w.stop()
	if in.Any && wait > 0 {
		w.ended(in.IDs...) // what ends it is told below
	}
	for _, id := range in.IDs {
		var err error
		if !in.Any && wait > 0 {
			err = w.ended(id)
		}
		m, err := s.result(w, id, err, maxAnswer/len(in.IDs))
		if err != nil {
			return out, err
		}
		out.Messages = append(out.Messages, m)
	}
	return out, nil
}

// result is the state of a message, or its answer, after a wait that ended with an error or
// nil. An error about this message alone is in its fields.
func (s *server) result(w *watch, id string, err error, most int) (message, error) {
	var reply *ipc.Reply
	if ipc.ReasonOf(err) != "deadlock" { // that only refuses the wait
		reply, err = s.client.verbs().Result(w.ctx, ipc.MessageRef{ID: id})
	}
	m, err := w.result(id, reply, err, 0, most)
	if _, wire := errors.AsType[*ipc.Error](err); wire {
		shown, _ := s.client.verbs().Show(w.ctx, ipc.MessageRef{ID: id})
		return message{ID: id, State: cmp.Or(shown.State, "none"), Error: explain(err).Error()}, nil
	}
	return m, err
}

type resultInput struct {
	ID     string `json:"id"`
	Offset int    `json:"offset,omitempty" jsonschema:"where in the answer to begin, as next_offset says"`
}

func (s *server) getResult(ctx context.Context, req *mcp.CallToolRequest, in resultInput) (message, error) {
	if in.Offset < 0 {
		return message{}, fmt.Errorf("offset is %d: give next_offset of the last part", in.Offset)
	}
	w := s.watch(ctx, req, 0)
	defer w.stop()
	reply, err := s.client.verbs().Result(ctx, ipc.MessageRef{ID: in.ID})
	return w.result(in.ID, reply, err, in.Offset, maxAnswer)
}

// watch is one call that waits for messages, with progress for the client.
type watch struct {
	s    *server
	ctx  context.Context // ends with the call
	long context.Context // ends with the wait, too
	end  context.CancelFunc
	wg   sync.WaitGroup
	sent bool // the daemon may have got a call

	mu     sync.Mutex
	states map[string]ipc.MessageState // by id
	last   string                      // id that was heard of last
}

// watch begins to send progress, until stop is called.
func (s *server) watch(ctx context.Context, req *mcp.CallToolRequest, wait time.Duration) *watch {
	w := &watch{s: s, ctx: ctx, states: map[string]ipc.MessageState{}}
	if wait == 0 {
		w.long, w.end = context.WithCancel(ctx)
		return w
	}
	w.long, w.end = context.WithTimeout(ctx, wait)
	if token := req.Params.GetProgressToken(); token != nil {
		w.wg.Go(func() { w.tell(req.Session, token, wait) })
	}
	return w
}

func (w *watch) stop() {
	w.end()
	w.wg.Wait()
}

// tell sends progress while the wait lasts: the seconds that have passed.
func (w *watch) tell(session *mcp.ServerSession, token any, wait time.Duration) {
	tick := time.NewTicker(w.s.progress)
	defer tick.Stop()
	for begun := time.Now(); ; {
		select {
		case <-w.long.Done():
			return
		case <-tick.C:
		}
		session.NotifyProgress(w.long, &mcp.ProgressNotificationParams{
			ProgressToken: token, Progress: time.Since(begun).Seconds(), Total: wait.Seconds(), Message: w.summary(),
		})
	}
}

// summary says in a few words how far the messages are.
func (w *watch) summary() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var parts []string
	for id, st := range w.states {
		part := id + " " + st.State
		if st.Position > 0 {
			part += fmt.Sprintf(", number %d", st.Position)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

// hear notes the state of a message. A message that runs is not queued again by its place
// that comes late.
func (w *watch) hear(st ipc.MessageState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = st.ID
	if w.states[st.ID].State != "running" || st.Retried || st.State != "queued" {
		w.states[st.ID] = st
	}
}

// latest is the id of the message that was heard of last; empty for none.
func (w *watch) latest() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// state is what was heard of a message; the zero one for nothing.
func (w *watch) state(id string) ipc.MessageState {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.states[id]
}

// follow makes calls on connections that hear the states of messages.
func (w *watch) follow(talk func(*ipc.Client) error) error {
	return w.s.client.follow(w.long, func(c *ipc.Client) error {
		heard := ipc.Handlers{State: w.hear}
		c.OnNotify = heard.Notify
		w.sent = true
		return talk(c)
	})
}

// accept has the daemon accept a message, under another id if the daemon asks for that. The
// call may be repeated: the id tells the daemon that it is the same message.
func (w *watch) accept(m *ipc.Send, talk func(*ipc.Client) error) error {
	return w.follow(func(c *ipc.Client) error {
		err := talk(c)
		if wire, ok := errors.AsType[*ipc.Error](err); ok && ipc.ReasonOf(err) == "other-id" {
			m.ID = wire.Data.ID
			err = talk(c)
		}
		return err
	})
}

// ended waits until the first of some messages has ended.
func (w *watch) ended(ids ...string) error {
	return w.follow(func(c *ipc.Client) error {
		_, err := c.Wait(w.long, ipc.Wait{IDs: ids})
		return err
	})
}

// result is the answer of a tool about a message: its reply from an offset on, at most so
// many bytes, or what is known when there is none yet.
func (w *watch) result(id string, reply *ipc.Reply, err error, offset, most int) (message, error) {
	st := w.state(id)
	m := message{ID: id, State: st.State, Note: noteOn(st)}
	switch _, wire := errors.AsType[*ipc.Error](err); {
	case err == nil:
		return answer(reply, offset, most)
	case w.ctx.Err() != nil: // the client waits no more, and the message goes on
		return m, w.ctx.Err()
	case errors.Is(err, context.DeadlineExceeded) && m.State != "":
		return m, nil
	case ipc.ReasonOf(err) == "not-ended":
		shown, err := w.s.client.verbs().Show(w.ctx, ipc.MessageRef{ID: id})
		m.State = shown.State
		return m, err
	case wire, !w.sent:
		return m, err
	}
	return m, fmt.Errorf("message %s: %w; get_result tells what became of it", id, err)
}

// answer is the reply to a message, from an offset on.
func answer(r *ipc.Reply, offset, most int) (message, error) {
	m := message{ID: r.ID, State: "done", Error: r.Error, CostUSD: r.CostUSD, Note: r.Notice}
	if outcome := turn.Outcome(r.Outcome); !outcome.Answered() {
		m.State = "failed"
		if m.Error == "" {
			m.Error = r.Outcome
		}
	}
	for _, d := range r.Denials {
		m.Denied = append(m.Denied, d.Tool)
	}
	if offset > len(r.Text) {
		return m, fmt.Errorf("offset is %d, and the answer has %d bytes", offset, len(r.Text))
	}
	m.Answer = strings.ToValidUTF8(r.Text[offset:], "")
	if len(m.Answer) > most {
		for most > 0 && !utf8.RuneStart(m.Answer[most]) {
			most--
		}
		m.Answer, m.NextOffset, m.Bytes = m.Answer[:most], offset+most, len(r.Text)
	}
	return m, nil
}
