package claude

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"iris/pool"
)

// stuckAfter is how long the agent may leave its stdin unread while we write.
// The pipe takes 64 KB; a line of 5 MB is read in 0.3 s.
const stuckAfter = 10 * time.Second

var errTorn = errors.New("the agent does not read its input: a line was cut short")

// write writes one line. An error with n > 0 means that the agent has a part of
// it; nothing may follow then.
func (p *Process) write(line []byte) (n int, err error) {
	p.in.Lock()
	defer p.in.Unlock()
	return p.writeLocked(line)
}

// writeLocked is write for a caller that holds p.in.
func (p *Process) writeLocked(line []byte) (n int, err error) {
	if p.torn {
		return 0, errTorn
	}
	for n < len(line) {
		if p.stopping.Load() && n > 0 {
			err = errGone
			break
		}
		p.stdin.SetWriteDeadline(time.Now().Add(p.stuck()))
		var k int
		k, err = p.stdin.Write(line[n:min(n+chunk, len(line))])
		if n += k; err != nil && k == 0 {
			break
		}
		err = nil
	}
	if err != nil {
		p.torn = n > 0
		return n, p.writeError(err)
	}
	return n, nil
}

// stuck is shorter for a process that is to end.
func (p *Process) stuck() time.Duration {
	if p.stopping.Load() {
		return min(p.stuckAfter, p.o.Grace)
	}
	return p.stuckAfter
}

func (p *Process) writeError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the agent has not read its input for %v", p.stuck())
	}
	return reason(err)
}

// userLine is the message as the agent reads it, with a uuid that no message
// has had: a repeated one would be swallowed.
func userLine(t *pool.Turn) ([]byte, error) {
	type message struct {
		Role    string `json:"role"`
		Content any    `json:"content"`
	}
	var content any = t.Text
	if t.Blocks {
		content = json.RawMessage(t.Text)
	}
	return encode(struct {
		Type    string  `json:"type"`
		UUID    string  `json:"uuid"`
		Message message `json:"message"`
	}{"user", NewSessionID(), message{"user", content}})
}

// encode is json.Marshal with a newline and without escaping of HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// ask writes a control request and returns where its answer will come.
func (p *Process) ask(subtype string) (<-chan response, string, error) {
	return p.askFor(bare(subtype))
}

// bare is a control request without parameters.
func bare(subtype string) map[string]any { return map[string]any{"subtype": subtype} }

// askFor is ask of a request with parameters.
func (p *Process) askFor(request map[string]any) (<-chan response, string, error) {
	c := make(chan response, 1)
	p.mu.Lock()
	p.number++
	id := "iris-" + strconv.Itoa(p.number)
	p.calls[id] = c
	p.mu.Unlock()
	line, err := encode(struct {
		Type    string         `json:"type"`
		ID      string         `json:"request_id"`
		Request map[string]any `json:"request"`
	}{"control_request", id, request})
	if err == nil {
		_, err = p.write(line)
	}
	if err != nil {
		p.forget(id)
		return nil, "", err
	}
	return c, id, nil
}

func (p *Process) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.calls, id)
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
	defer p.forget(id)
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

func megabytes(n int64) string { return strconv.FormatInt(n>>20, 10) + " MB" }
