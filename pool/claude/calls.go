package claude

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
)

// response is the answer to a control request.
type response struct {
	Subtype string          `json:"subtype"`
	ID      string          `json:"request_id"`
	Error   string          `json:"error"`
	Body    json.RawMessage `json:"response"`
}

// calls are the control requests made of the agent.
type calls struct {
	mu      sync.Mutex // protects the fields below
	number  int        // of requests so far
	waiting map[string]chan response
}

// add returns the id of the next request, and where its answer will come.
func (c *calls) add() (id string, answer chan response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[string]chan response{}
	}
	c.number++
	id, answer = "iris-"+strconv.Itoa(c.number), make(chan response, 1)
	c.waiting[id] = answer
	return id, answer
}

func (c *calls) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// made is how many requests were made so far.
func (c *calls) made() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.number
}

// answer hands a control response to the caller that waits for it.
func (c *calls) answer(line []byte) {
	var m struct {
		Response response `json:"response"`
	}
	if json.Unmarshal(line, &m) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer := c.waiting[m.Response.ID]; answer != nil {
		delete(c.waiting, m.Response.ID)
		answer <- m.Response
	}
}

// ask writes a control request and returns where its answer will come.
func (p *Process) ask(subtype string) (<-chan response, string, error) {
	return p.askFor(bare(subtype))
}

// bare is a control request without parameters.
func bare(subtype string) map[string]any { return map[string]any{"subtype": subtype} }

// askFor is ask of a request with parameters.
func (p *Process) askFor(request map[string]any) (<-chan response, string, error) {
	id, c := p.calls.add()
	line, err := encode(struct {
		Type    string         `json:"type"`
		ID      string         `json:"request_id"`
		Request map[string]any `json:"request"`
	}{"control_request", id, request})
	if err == nil {
		_, err = p.write(line)
	}
	if err != nil {
		p.calls.forget(id)
		return nil, "", err
	}
	return c, id, nil
}

// call is ask and the wait for the answer. It works in mid-turn too and does
// not disturb the turn.
func (p *Process) call(ctx context.Context, subtype string) (response, error) {
	return p.request(ctx, bare(subtype))
}

// request is call with parameters.
func (p *Process) request(ctx context.Context, request map[string]any) (response, error) {
	c, id, err := p.askFor(request)
	if err != nil {
		return response{}, err
	}
	defer p.calls.forget(id)
	select {
	case r := <-c:
		if r.Subtype == "error" {
			return r, fmt.Errorf("%s: %s", request["subtype"], oneLine(r.Error))
		}
		return r, nil
	case <-p.done:
		return response{}, errGone
	case <-ctx.Done():
		return response{}, context.Cause(ctx)
	}
}
