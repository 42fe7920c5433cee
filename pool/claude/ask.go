package claude

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// Request is a tool call for which the agent asks permission.
type Request struct {
	ID          string // the agent's own
	Tool        string
	Input       []byte // JSON as it came, byte for byte; a json.RawMessage would change it in a handoff
	Description string
	BlockedPath string
	Why         string // why the agent asks, in its own words
	ToolUse     string // the agent's id of the call
	Offers      []byte // what it offers to have from now on, JSON
	Subagent    Subagent
}

// Subagent names the subagent that asks; its zero value is the agent itself.
type Subagent struct {
	ID   string
	Kind string // such as "Explore"; empty while unknown
	Task string // in the agent's words; empty while unknown
}

// maxAsks is how many requests of one agent may wait at a time. Claude Code uses ten
// tools at once; each request costs memory and a process that reports it.
const maxAsks = 64

// ErrWithdrawn says that the agent no longer waits for that answer.
var ErrWithdrawn = errors.New("the agent asks for it no longer")

// requested handles a request of the agent. A tool that needs permission is passed to
// OnAsk, or denied if Ask is not set; the turn goes on either way.
func (p *Process) requested(line []byte) {
	subtype, r, err := p.parseRequest(line)
	switch {
	case r.ID == "":
	case err == nil && subtype != "can_use_tool":
		_, err = p.write(refusal(r.ID))
	case err != nil || !p.o.Ask:
		err = p.refuse(r, "nobody is there to approve this")
	case len(p.waitingAsks()) >= maxAsks:
		err = p.refuse(r, "too many tool calls wait for permission already")
	default:
		p.park(r)
	}
	if err != nil {
		p.log.Warn("request of agent not answered", "subtype", subtype, "err", err)
	}
}

// parseRequest decodes a control request. It may return the id even with an error.
func (p *Process) parseRequest(line []byte) (subtype string, r Request, err error) {
	var m struct {
		ID      string `json:"request_id"`
		Request struct {
			Subtype     string          `json:"subtype"`
			Tool        string          `json:"tool_name"`
			Input       json.RawMessage `json:"input"`
			Description string          `json:"description"`
			BlockedPath string          `json:"blocked_path"`
			Why         string          `json:"decision_reason"`
			ToolUse     string          `json:"tool_use_id"`
			Agent       string          `json:"agent_id"`
			Offers      json.RawMessage `json:"permission_suggestions"`
		} `json:"request"`
	}
	err = json.Unmarshal(line, &m)
	q := m.Request
	r = Request{
		ID: m.ID, Tool: q.Tool, Input: q.Input, Description: q.Description, BlockedPath: q.BlockedPath, Why: q.Why, ToolUse: q.ToolUse,
		Offers: q.Offers,
	}
	if q.Agent != "" {
		t := p.reading.notes.Tasks[q.Agent]
		r.Subagent = Subagent{ID: q.Agent, Kind: t.Kind, Task: t.What}
	}
	return q.Subtype, r, err
}

// refuse denies a tool call without asking anybody.
func (p *Process) refuse(r Request, why string) error {
	p.noteDenied(r)
	_, err := p.write(permission(r, false, why))
	return err
}

// refusal is the answer to an unknown request.
func refusal(id string) []byte {
	line, err := encode(map[string]any{"type": "control_response", "response": map[string]string{
		"subtype": "error", "request_id": id, "error": "not supported",
	}})
	if err != nil {
		panic("bug: a refusal does not encode: " + err.Error())
	}
	return line
}

// permission is the answer to a request.
func permission(r Request, allow bool, why string) []byte {
	if allow {
		return allowance(r)
	}
	return decision(r, `{"behavior":"deny","message":`, string(quoted(why)))
}

// allowance is the answer that allows a tool call, with more members. The input goes
// back unchanged: the agent runs the tool with the input of this answer.
func allowance(r Request, more ...string) []byte {
	input := cmp.Or(string(r.Input), "{}")
	return decision(r, append([]string{`{"behavior":"allow","updatedInput":`, input}, more...)...)
}

// decision is the line of an answer, from the parts of an object without its end.
func decision(r Request, parts ...string) []byte {
	line := `{"type":"control_response","response":{"subtype":"success","request_id":` + string(quoted(r.ID)) + `,"response":`
	return []byte(line + strings.Join(parts, "") + "}}}\n")
}

func quoted(s string) []byte {
	line, err := encode(s)
	if err != nil {
		panic("bug: a string does not encode: " + err.Error())
	}
	return line[:len(line)-1]
}

// park lets a request wait for Answer.
func (p *Process) park(r Request) {
	p.mu.Lock()
	p.asks.waiting, p.asks.unresponsive = append(p.asks.waiting, r), false
	p.mu.Unlock()
	p.o.OnAsk(p, r)
}

// Answer allows a tool call, or denies it and tells the agent why. The error is
// ErrWithdrawn if the agent no longer waits for it; after any other error Answer may
// be called again.
func (p *Process) Answer(request string, allow bool, why string) error {
	return p.answerWith(request, allow, func(r Request) []byte { return permission(r, allow, why) })
}

// AnswerWithInput allows a tool call with another input.
func (p *Process) AnswerWithInput(request string, input []byte) error {
	return p.answerWith(request, true, func(r Request) []byte {
		r.Input = input
		return permission(r, true, "")
	})
}

// answerWith writes the line that answers a request.
func (p *Process) answerWith(request string, allow bool, line func(Request) []byte) error {
	p.input.mu.Lock() // taking and writing are one step, so that Pause sees both or neither
	defer p.input.mu.Unlock()
	// The request is taken first: once the answer is written, the whole turn may be
	// over before this goroutine runs again.
	r, ok := p.takeAsk(request)
	if !ok {
		return ErrWithdrawn
	}
	if !allow {
		p.noteDenied(r)
	}
	_, err := p.writeLocked(line(r))
	if err != nil && !p.unanswered(r) {
		return ErrWithdrawn
	}
	if err == nil {
		p.heard()
	}
	return err
}

// noteDenied records that iris denied a tool call of a subagent in the running turn.
// No result contains that.
func (p *Process) noteDenied(r Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current.turn != nil && r.Subagent.ID != "" {
		p.asks.denied = append(p.asks.denied, denial{ID: r.ToolUse, Tool: r.Tool, Input: r.Input})
	}
}

// takeDenied returns the denials of subagents' calls since the turn began or since
// its last call. Some may be in the result too, with the same ids.
func (p *Process) takeDenied() []denial {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.asks.denied
	p.asks.denied = nil
	return all
}

// takeAsk ends the wait for an answer; false if there was none.
func (p *Process) takeAsk(request string) (Request, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.asks.waiting, func(r Request) bool { return r.ID == request })
	if i < 0 {
		return Request{}, false
	}
	r := p.asks.waiting[i]
	p.asks.waiting = slices.Delete(p.asks.waiting, i, i+1)
	if !p.asks.unresponsive {
		p.status.progress = time.Now() // from now on it can stall
	}
	return r, true
}

// heard records that the agent reads its answers.
func (p *Process) heard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.progress, p.asks.unresponsive = time.Now(), false
}

// unanswered puts back a request whose answer was not written, unless the agent is
// gone. An agent that does not read the answer that it waits for has stalled.
func (p *Process) unanswered(r Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status.gone {
		return false
	}
	p.asks.waiting = append(p.asks.waiting, r)
	p.asks.unresponsive = true
	p.asks.denied = slices.DeleteFunc(p.asks.denied, func(d denial) bool { return d.ID == r.ToolUse })
	return true
}

// cancelled removes a request that the agent has withdrawn.
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

// closeRequests denies the agent's open requests when a turn is over. Requests of its
// subagents still wait, since these work on.
func (p *Process) closeRequests() {
	p.closeThose(func(r Request) bool { return r.Subagent.ID == "" })
}

// closeAllRequests denies every open request when the agent is idle: its subagents
// are done too.
func (p *Process) closeAllRequests() {
	p.closeThose(func(Request) bool { return true })
}

func (p *Process) closeThose(over func(Request) bool) {
	for _, r := range p.waitingAsks() {
		if !over(r) || !p.withdraw(r.ID) {
			continue
		}
		if _, err := p.write(permission(r, false, "the turn is over")); err != nil {
			p.log.Warn("request of agent not answered", "subtype", "can_use_tool", "err", err)
		}
	}
}

// withdrawAll withdraws every open request.
func (p *Process) withdrawAll() {
	for _, r := range p.waitingAsks() {
		p.withdraw(r.ID)
	}
}

func (p *Process) waitingAsks() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asks.waiting)
}
