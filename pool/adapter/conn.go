package adapter

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"iris/pool/echo"
)

const (
	maxLine  = 32 << 20 // bytes of one line of a program
	maxShown = 100      // bytes of it in an error
)

// conn is a JSON-RPC connection to a program, one message a line. Lines that are no
// message are left out: some programs print a banner.
type conn struct {
	named bool // messages have the member "jsonrpc", which codex leaves out
	in    io.Writer

	// heard gets the notifications of the program and asked its requests, both in their
	// order and before the answers that come after them. They may not block.
	heard func(method string, params json.RawMessage)
	asked func(id json.RawMessage, method string, params json.RawMessage)

	wake chan struct{} // capacity 1: out has grown
	done chan struct{} // closed with the end of the connection

	mu    sync.Mutex // protects the fields below
	last  int        // id of the last call
	calls map[int]chan<- message
	out   [][]byte // lines to write
	noise string   // the first line that was no message
	ended error    // why nothing more comes; nil as long as it may
}

// message is any message in either direction.
type message struct {
	Version string          `json:"jsonrpc,omitempty"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  any             `json:"result,omitempty"`
	Error   *callError      `json:"error,omitempty"`
}

// callError is how a program refuses a call.
type callError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

func (e *callError) Error() string {
	if len(e.Data) == 0 || string(e.Data) == "null" {
		return e.Message
	}
	return e.Message + ": " + string(e.Data)
}

// status is the status of HTTP that the code is, as gemini has it; 0 if it is none.
func (e *callError) status() int {
	if e.Code >= 400 && e.Code < 600 {
		return e.Code
	}
	return 0
}

func newConn(in io.Writer, named bool) *conn {
	return &conn{named: named, in: in, wake: make(chan struct{}, 1), done: make(chan struct{}), calls: map[int]chan<- message{}}
}

// read reads the program's messages until out ends or has a line that is too long.
func (c *conn) read(out io.Reader) error {
	br := bufio.NewReaderSize(out, 64<<10)
	for {
		line, err := echo.ReadLine(br, maxLine)
		if errors.Is(err, bufio.ErrTooLong) {
			return fmt.Errorf("wrote a line of more than %d MB", maxLine>>20)
		}
		if len(line) > 0 {
			c.take(line)
		}
		if err != nil {
			return nil
		}
	}
}

// take handles one line.
func (c *conn) take(line []byte) {
	var m struct {
		ID     json.RawMessage
		Method string
		Params json.RawMessage
		Result json.RawMessage
		Error  *callError
	}
	if json.Unmarshal(line, &m) != nil || m.Method == "" && m.ID == nil {
		c.mu.Lock()
		if text := strings.TrimSpace(string(line)); c.noise == "" && text != "" {
			c.noise = clip(text, maxShown)
		}
		c.mu.Unlock()
		return
	}
	switch {
	case m.Method != "" && m.ID != nil:
		c.asked(m.ID, m.Method, m.Params)
	case m.Method != "":
		c.heard(m.Method, m.Params)
	default:
		c.answered(m.ID, message{Result: m.Result, Error: m.Error})
	}
}

// answered hands the answer to the call that waits for it.
func (c *conn) answered(id json.RawMessage, m message) {
	n, err := strconv.Atoi(string(id))
	if err != nil {
		return
	}
	c.mu.Lock()
	wait := c.calls[n]
	delete(c.calls, n)
	c.mu.Unlock()
	if wait != nil {
		wait <- m
	}
}

// call calls a method and returns its result. The error is a *callError if the program
// has refused, else the cause of ctx or why the connection has ended.
func (c *conn) call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	wait := c.request(method, params)
	select {
	case m := <-wait:
		return result(m)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.done:
	}
	select {
	case m := <-wait: // the last that the program has said
		return result(m)
	default:
		return nil, c.end(nil)
	}
}

// request sends a call and returns where its answer comes.
func (c *conn) request(method string, params any) <-chan message {
	wait := make(chan message, 1)
	c.mu.Lock()
	c.last++
	id := c.last
	c.calls[id] = wait
	c.mu.Unlock()
	c.send(message{ID: json.RawMessage(strconv.Itoa(id)), Method: method, Params: params})
	return wait
}

func result(m message) (json.RawMessage, error) {
	if m.Error != nil {
		return nil, m.Error
	}
	raw, _ := m.Result.(json.RawMessage)
	return raw, nil
}

// notify sends a message that has no answer.
func (c *conn) notify(method string, params any) { c.send(message{Method: method, Params: params}) }

// reply answers a request of the program.
func (c *conn) reply(id json.RawMessage, result any) { c.send(message{ID: id, Result: result}) }

// refuse tells the program that there is no such method.
func (c *conn) refuse(id json.RawMessage, method string) {
	c.send(message{ID: id, Error: &callError{Code: -32601, Message: "method not found: " + method}})
}

// send has a message written. It does not wait for that.
func (c *conn) send(m message) {
	if c.named {
		m.Version = "2.0"
	}
	c.mu.Lock()
	c.out = append(c.out, echo.Encode(m))
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write writes what is sent until the connection ends. A program that no longer reads
// keeps it in a write until its input is closed.
func (c *conn) write() {
	for {
		c.mu.Lock()
		lines := c.out
		c.out = nil
		c.mu.Unlock()
		for _, line := range lines {
			if _, err := c.in.Write(line); err != nil {
				return
			}
		}
		select {
		case <-c.wake:
		case <-c.done:
			return
		}
	}
}

// end ends the connection, if it has not ended, and returns why it did.
func (c *conn) end(why error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil && why != nil {
		c.ended = why
		close(c.done)
	}
	return c.ended
}

// printed is the first line of the program that was no message; empty if there is none.
func (c *conn) printed() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.noise
}

// clip shortens text to n bytes.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "..."
}
