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

// calls holds the control requests to the agent.
type calls struct {
	mu      sync.Mutex // protects the fields below
	number  int        // of the last request
	waiting map[string]chan response
}

// add returns the id of the next request, and the channel for its answer.
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

// wait reports whether a request has no answer yet.
func (c *calls) wait() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting) > 0
}

// made is the number of requests so far.
func (c *calls) made() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.number
}

// begins reports whether there was only one request so far, which is initialize.
func (c *calls) begins() bool { return c.made() == 1 }

// answer passes a control response to the caller that waits for it.
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

// spoil fails the waiting requests: the answer to one of them came in a line that is no
// message.
func (c *calls) spoil() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, answer := range c.waiting {
		delete(c.waiting, id)
		answer <- response{Subtype: "spoiled"}
	}
}

// ask writes a control request and returns the channel for its answer, and its id.
func (p *Process) ask(subtype string) (<-chan response, string, error) {
	return p.askFor(bare(subtype))
}

// bare is a control request without parameters.
func bare(subtype string) map[string]any { return map[string]any{"subtype": subtype} }

// askFor is ask with parameters.
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

// call writes a control request and waits for the answer. It does not disturb a
// running turn.
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
		switch r.Subtype {
		case "error":
			return r, fmt.Errorf("%s: %s", request["subtype"], oneLine(r.Error))
		case "spoiled":
			return r, fmt.Errorf("the answer to %s is not a line of its own", request["subtype"])
		}
		return r, nil
	case <-p.done:
		return response{}, errGone
	case <-ctx.Done():
		return response{}, context.Cause(ctx)
	}
}
