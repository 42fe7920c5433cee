package claude

import (
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Request is a call of a tool for which the agent wants permission.
type Request struct {
	ID          string // the agent's own
	Tool        string
	Input       []byte // JSON as it came, byte for byte; a RawMessage would not survive a hand-over so
	Description string
	BlockedPath string
	Why         string // the agent asks, in its words
}

// maxAsks is how many requests of one agent wait at a time. Claude Code uses ten
// tools at once; each request costs memory, and a process that tells of it.
const maxAsks = 64

// ErrWithdrawn says that the agent does not wait for that answer any more.
var ErrWithdrawn = errors.New("the agent asks for it no longer")

// requested takes what the agent asks of us. A tool that needs permission is
// asked for, or denied where that is not wanted; the turn goes on either way.
func (p *Process) requested(line []byte) {
	var m struct {
		ID      string `json:"request_id"`
		Request struct {
			Subtype     string          `json:"subtype"`
			Tool        string          `json:"tool_name"`
			Input       json.RawMessage `json:"input"`
			Description string          `json:"description"`
			BlockedPath string          `json:"blocked_path"`
			Why         string          `json:"decision_reason"`
		} `json:"request"`
	}
	err := json.Unmarshal(line, &m)
	switch {
	case m.ID == "":
	case err == nil && m.Request.Subtype != "can_use_tool":
		_, err = p.write(refusal(m.ID))
	case err != nil || !p.o.Ask:
		_, err = p.write(permission(Request{ID: m.ID}, false, "nobody is there to approve this"))
	case len(p.waitingAsks()) >= maxAsks:
		_, err = p.write(permission(Request{ID: m.ID}, false, "too many tool calls wait for permission already"))
	default:
		q := m.Request
		p.park(Request{ID: m.ID, Tool: q.Tool, Input: q.Input, Description: q.Description, BlockedPath: q.BlockedPath, Why: q.Why})
	}
	if err != nil {
		p.log.Warn("request of agent not answered", "subtype", m.Request.Subtype, "err", err)
	}
}

// refusal is the answer to a request that we do not know.
func refusal(id string) []byte {
	line, err := encode(map[string]any{"type": "control_response", "response": map[string]string{
		"subtype": "error", "request_id": id, "error": "not supported",
	}})
	if err != nil {
		panic("bug: a refusal does not encode: " + err.Error())
	}
	return line
}

// permission is the answer to a request. The input goes back as it came: the
// agent runs the tool with what it is given here.
func permission(r Request, allow bool, why string) []byte {
	input := r.Input
	if len(input) == 0 {
		input = []byte("{}")
	}
	line := []byte(`{"type":"control_response","response":{"subtype":"success","request_id":`)
	line = append(line, quoted(r.ID)...)
	if allow {
		line = append(line, `,"response":{"behavior":"allow","updatedInput":`...)
		line = append(line, input...)
	} else {
		line = append(line, `,"response":{"behavior":"deny","message":`...)
		line = append(line, quoted(why)...)
	}
	return append(line, "}}}\n"...)
}

func quoted(s string) []byte {
	line, err := encode(s)
	if err != nil {
		panic("bug: a string does not encode: " + err.Error())
	}
	return line[:len(line)-1]
}

// park has a request wait for Answer.
func (p *Process) park(r Request) {
	p.mu.Lock()
	p.asks, p.deaf = append(p.asks, r), false
	p.mu.Unlock()
	p.o.OnAsk(p, r)
}

// Answer allows a tool call, or denies it and tells the agent why. The error is
// ErrWithdrawn when the agent does not wait for that any more; after another one
// it may be tried again.
func (p *Process) Answer(request string, allow bool, why string) error {
	p.in.Lock() // one step with the writing, so that Pause sees it done or not done
	defer p.in.Unlock()
	// It is taken first: once it is written, the whole turn may be over before
	// this goroutine runs again.
	r, ok := p.takeAsk(request)
	if !ok {
		return ErrWithdrawn
	}
	_, err := p.writeLocked(permission(r, allow, why))
	if err != nil && !p.unanswered(r) {
		return ErrWithdrawn
	}
	if err == nil {
		p.heard()
	}
	return err
}

// takeAsk ends the wait for an answer; false when there was none.
func (p *Process) takeAsk(request string) (Request, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.asks, func(r Request) bool { return r.ID == request })
	if i < 0 {
		return Request{}, false
	}
	r := p.asks[i]
	p.asks = slices.Delete(p.asks, i, i+1)
	if !p.deaf {
		p.progress = time.Now() // from here on it can stall
	}
	return r, true
}

// heard notes that the agent reads what it is answered.
func (p *Process) heard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress, p.deaf = time.Now(), false
}

// unanswered puts a request back whose answer was not written, unless the agent is
// gone. One that does not read what it waits for has stalled.
func (p *Process) unanswered(r Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	p.asks = append(p.asks, r)
	p.deaf = true
	return true
}

// cancelled takes a request back that the agent no longer makes.
func (p *Process) cancelled(line []byte) {
	var m struct {
		ID string `json:"request_id"`
	}
	decode(line, &m)
	p.withdraw(m.ID)
}

func (p *Process) withdraw(request string) bool {
	if _, ok := p.takeAsk(request); !ok {
		return false
	}
	p.o.OnWithdrawn(p, request)
	return true
}

// closeRequests denies what is still asked for when a turn is over.
func (p *Process) closeRequests() {
	for _, r := range p.waitingAsks() {
		if !p.withdraw(r.ID) {
			continue
		}
		if _, err := p.write(permission(r, false, "the turn is over")); err != nil {
			p.log.Warn("request of agent not answered", "subtype", "can_use_tool", "err", err)
		}
	}
}

// withdrawAll says that nobody waits for an answer any more.
func (p *Process) withdrawAll() {
	for _, r := range p.waitingAsks() {
		p.withdraw(r.ID)
	}
}

func (p *Process) waitingAsks() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asks)
}
