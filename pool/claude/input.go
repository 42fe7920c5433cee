package claude

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"iris/config/sys"
)

// stuckAfter is how long the agent may leave its stdin unread while we write.
// The pipe takes 64 KB; a line of 5 MB is read in 0.3 s.
const stuckAfter = 10 * time.Second

// input is the agent's stdin. One whole line is written at a time.
type input struct {
	mu   sync.Mutex // protects the fields below
	pipe *os.File
	torn bool // a line was cut short: nothing may be written any more
}

var errTorn = errors.New("the agent does not read its input: a line was cut short")

// write writes one line. An error with n > 0 means that the agent has a part of the
// line, and nothing may follow.
func (p *Process) write(line []byte) (n int, err error) {
	p.input.mu.Lock()
	defer p.input.mu.Unlock()
	return p.writeLocked(line)
}

// writeLocked is write for a caller that holds p.input.mu.
func (p *Process) writeLocked(line []byte) (n int, err error) {
	if p.input.torn {
		return 0, errTorn
	}
	p.thawLocked()
	for n < len(line) {
		if p.stopping.Load() && n > 0 {
			err = errGone
			break
		}
		p.input.pipe.SetWriteDeadline(time.Now().Add(p.stuck()))
		var k int
		k, err = p.input.pipe.Write(line[n:min(n+chunk, len(line))])
		if n += k; err != nil && k == 0 {
			break
		}
		err = nil
	}
	if err != nil {
		p.input.torn = n > 0
		return n, p.writeError(err)
	}
	return n, nil
}

// stuck is stuckAfter, or shorter for a process that is being stopped.
func (p *Process) stuck() time.Duration {
	if p.stopping.Load() {
		return min(p.timing.stuckAfter, p.o.Grace)
	}
	return p.timing.stuckAfter
}

func (p *Process) writeError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the agent has not read its input for %v", p.stuck())
	}
	return sys.Cause(err)
}

// hangUp closes stdin, unless a line was cut short: the agent would take the part for
// a message.
func (p *Process) hangUp() bool {
	p.input.mu.Lock()
	defer p.input.mu.Unlock()
	if p.input.torn {
		return false
	}
	p.thawLocked()
	p.input.pipe.Close()
	return true
}

// lockStdin takes the lock of stdin. A write to a slow agent may hold it for long.
func (p *Process) lockStdin(ctx context.Context) error {
	for !p.input.mu.TryLock() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// userLine is the message in the form that the agent reads. Its uuid must be new: the
// agent ignores a repeated one.
func userLine(m *Message, uuid string) ([]byte, error) {
	type message struct {
		Role    string `json:"role"`
		Content any    `json:"content"`
	}
	var content any = m.Text
	if m.Blocks {
		content = json.RawMessage(m.Text)
	}
	return encode(struct {
		Type    string  `json:"type"`
		UUID    string  `json:"uuid"`
		Message message `json:"message"`
	}{"user", uuid, message{"user", content}})
}

// encode is json.Marshal with a newline and without escaping of HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}
