package ipc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

var (
	// ErrNoDaemon says that nobody listens on the socket.
	ErrNoDaemon = errors.New("no daemon is running")
	// ErrLost says that the connection ended before the answer. What the daemon
	// had accepted goes on.
	ErrLost = errors.New("lost the daemon before it answered")
)

// busyLimit is how long a daemon is given to accept a connection.
const busyLimit = time.Minute

// A Client is one connection to the daemon. It has no goroutine of its own:
// whoever calls also reads. It carries one call at a time; a second waits.
type Client struct {
	// OnNotify gets each notification of the daemon, in order, on the goroutine
	// of Call or Follow. Set it before the first of them. params does not last
	// beyond the call.
	OnNotify func(method string, params json.RawMessage)

	// OnSent runs in each call once its request is written: a place for what is
	// needed only while the daemon is at work. Set it before the first call.
	OnSent func()

	// Patience is how long the daemon may be silent during a call, 0 for ever;
	// then Call fails with os.ErrDeadlineExceeded. Set it before the first call.
	// A context with a deadline does the same but for the timer, which is much
	// for a command that makes one call.
	Patience time.Duration

	// Not changed after Dial.
	nc     stream
	daemon Peer

	turn chan struct{} // holds a token while nobody calls; guards the fields below
	in   lines
	out  []byte // the hello that goes ahead of the first call
	last uint64 // id of the last call; the hello's is 0
	err  error  // why no more calls are possible

	closed sync.Once
}

// Dial connects to the daemon that listens at path, after checking that it is
// ours. It sends nothing yet: hello goes out with the first call, in one write.
// While the daemon is too busy to accept, Dial tries again for a minute or until
// ctx ends.
func Dial(ctx context.Context, path string, hello Hello) (*Client, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	nc, err := connect(ctx, path)
	if err != nil {
		return nil, err
	}
	peer, err := PeerOf(nc)
	if err == nil && peer.UID != os.Geteuid() {
		err = fmt.Errorf("socket %s is served by uid %d, pid %d, not by you (uid %d)%w",
			path, peer.UID, peer.PID, os.Geteuid(), hidden{ErrForeign})
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return newClient(nc, peer, hello), nil
}

func newClient(nc stream, daemon Peer, hello Hello) *Client {
	if hello.Protocol == 0 {
		hello.Protocol = Version
	}
	c := &Client{nc: nc, daemon: daemon, turn: make(chan struct{}, 1)}
	c.in = lines{r: nc, limit: MaxAnswer}
	c.turn <- struct{}{}
	var err error
	if c.out, err = appendRequest(nil, []byte{'0'}, MethodHello, hello); err != nil {
		panic("bug: a hello does not encode: " + err.Error())
	}
	return c
}

// A stream is the client's end of a connection.
type stream interface {
	io.ReadWriteCloser
	// setPatience has each read and write that makes no progress for d fail with
	// os.ErrDeadlineExceeded.
	setPatience(d time.Duration) error
	// interrupt ends the reading, but for what has arrived already.
	interrupt()
}

// connect dials until ctx or busyLimit ends or the answer is another than "busy".
func connect(ctx context.Context, path string) (stream, error) {
	for begun := time.Now(); ; {
		nc, err := dialUnix(path)
		switch {
		case err == nil:
			return nc, nil
		case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
			return nil, fmt.Errorf("%w: %w", ErrNoDaemon, err)
		case !errors.Is(err, syscall.EAGAIN):
			return nil, err
		}
		wait(ctx, 5*time.Millisecond+rand.N(45*time.Millisecond))
		err = ctx.Err()
		if err == nil && time.Since(begun) > busyLimit {
			err = os.ErrDeadlineExceeded
		}
		if err != nil {
			return nil, fmt.Errorf("the daemon at %s is too busy to accept connections%w", path, hidden{err})
		}
	}
}

// Daemon returns the process that listens.
func (c *Client) Daemon() Peer { return c.daemon }

// Close ends the connection, and with it a call under way.
func (c *Client) Close() error {
	var err error
	c.closed.Do(func() { err = c.nc.Close() })
	return err
}

// Call calls a method and decodes its result: nil drops it, a *json.RawMessage
// and a Parser take it as it is. An error of the daemon is an *Error. When ctx
// ends first, Call returns its error and the connection is closed, which ends
// the wait but not what was accepted.
func (c *Client) Call(ctx context.Context, method string, params, result any) error {
	return c.exclusively(ctx, func() error {
		c.last++
		id := strconv.AppendUint(nil, c.last, 10)
		if method == MethodStop {
			c.out = nil // no hello: a daemon of any protocol can be stopped
		}
		frame, err := appendRequest(c.out, id, method, params)
		if err != nil {
			return fmt.Errorf("encode %s: %w", method, err)
		}
		if len(frame)-len(c.out) > MaxFrame {
			return reasoned(CodeUsage, "frame", "%s of %d bytes is over the limit of %d", method, len(frame), MaxFrame)
		}
		c.out = nil
		if c.Patience > 0 {
			if err := c.nc.setPatience(c.Patience); err != nil {
				return c.lose(err, nil)
			}
		}
		_, werr := c.nc.Write(frame)
		if c.OnSent != nil {
			c.OnSent()
		}
		answer, err := c.await(string(id)) // also after a failed write: the daemon may have said why
		if err != nil {
			return c.lose(err, werr)
		}
		return c.into(answer, method, result)
	})
}

// exclusively runs f when no other call is under way, and closes the connection
// if ctx ends before f has.
func (c *Client) exclusively(ctx context.Context, f func() error) error {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { c.turn <- struct{}{} }()
	switch {
	case c.err != nil:
		return c.err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if ctx.Done() == nil {
		return f()
	}
	stop := context.AfterFunc(ctx, c.nc.interrupt)
	defer stop()
	err := f()
	if c.err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// lose notes why the connection is of no more use.
func (c *Client) lose(err, werr error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		c.err = e // the daemon said why
	} else {
		c.err = lost(cmp.Or(werr, err))
	}
	c.Close()
	return c.err
}

// lost is ErrLost for a reason. That the connection has ended is no news; that
// what came over it was no answer is.
func lost(cause error) error {
	_, system := errors.AsType[syscall.Errno](cause)
	if system || errors.Is(cause, io.EOF) || errors.Is(cause, io.ErrUnexpectedEOF) || errors.Is(cause, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w%w", ErrLost, hidden{cause})
	}
	return fmt.Errorf("%w: %w", ErrLost, cause)
}

// An answer is the outcome of a call, as it stands in the reader's buffer.
type answer struct{ result, err []byte }

// await reads until the answer to id has come.
func (c *Client) await(id string) (answer, error) {
	for {
		line, err := c.in.next()
		if err != nil {
			return answer{}, err
		}
		if blank(line) {
			continue
		}
		e, err := parseEnvelope(line, MaxAnswerDepth)
		if err == nil && e.problem != "" {
			err = errors.New(e.problem)
		}
		if err != nil {
			return answer{}, fmt.Errorf("the daemon sent what is no answer: %w", err)
		}
		got := answer{result: e.member[memberResult], err: e.member[memberError]}
		switch at := string(e.member[memberID]); {
		case e.has(memberMethod):
			if c.OnNotify != nil {
				c.OnNotify(unquote(e.member[memberMethod]), e.member[memberParams])
			}
		case at == "0":
			if err := c.into(got, MethodHello, nil); err != nil {
				return answer{}, err
			}
		case at == "null": // about the connection as a whole
			if err := c.into(got, "connection", nil); err != nil {
				return answer{}, err
			}
		case at == id:
			return got, nil
		}
	}
}

// into decodes the result, or returns the error. What keeps the result owns it:
// a large one takes the reader's buffer along.
func (c *Client) into(a answer, method string, result any) error {
	if a.err != nil {
		e := new(Error)
		if err := json.Unmarshal(a.err, e); err != nil {
			return fmt.Errorf("error of %s: %w", method, err)
		}
		return e
	}
	if a.result == nil {
		return fmt.Errorf("answer to %s has neither result nor error", method)
	}
	var err error
	switch v := result.(type) {
	case nil:
	case *json.RawMessage:
		*v, _ = c.in.take(a.result)
	case Parser:
		data, _ := c.in.take(a.result)
		err = v.ParseJSON(data)
	default:
		err = json.Unmarshal(a.result, v)
	}
	if err != nil {
		return fmt.Errorf("result of %s: %w", method, err)
	}
	return nil
}
