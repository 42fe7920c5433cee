package ipc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"iris/config/sys"
)

var (
	// ErrNoDaemon says that no process listens on the socket.
	ErrNoDaemon = errors.New("no daemon is running")
	// ErrLost says that the connection ended before the answer. Whatever the daemon
	// had accepted goes on.
	ErrLost = errors.New("lost the daemon before it answered")
)

// busyLimit is how long a daemon may take to accept a connection.
const busyLimit = time.Minute

// A Client is one connection to the daemon. It has no goroutine of its own: the
// caller of Call also reads. It carries one call at a time; a second call waits.
type Client struct {
	Verbs // by Call

	// OnNotify gets each notification of the daemon, in order, on the goroutine
	// of Call. Set it before the first call.
	OnNotify func(method string, params json.RawMessage)

	// OnSent runs in each call once its request is written, to prepare what is needed
	// only while the daemon works. Set it before the first call.
	OnSent func()

	// Patience is how long the daemon may be silent during a call, 0 for ever;
	// then Call fails with os.ErrDeadlineExceeded. Set it before the first call.
	Patience time.Duration

	// OnSilence is called when the daemon has not answered the hello within HungAfter,
	// and HelloPatience is how long it may take from then on, 0 for Patience. Without
	// Patience OnSilence is also called with greeted, again and again, when nothing comes
	// from a daemon that has answered the hello: it may have nothing to say yet. Set
	// both before the first call.
	OnSilence     func(greeted bool)
	HelloPatience time.Duration

	// Not changed after Dial.
	nc     *net.UnixConn
	daemon Peer

	turn chan struct{} // holds a token while nobody calls; guards the fields below
	in   lines
	out  []byte // the hello that goes ahead of the first call
	last uint64 // id of the last call; the hello's is 0
	err  error  // why no more calls are possible
	silence

	closed sync.Once
}

// Dial connects to the daemon that listens at path, after checking that the socket
// and the daemon belong to this user. It sends nothing yet: hello goes out with the
// first call, in one write. While the daemon is too busy to accept, Dial tries again
// for a minute or until ctx ends.
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
			path, peer.UID, peer.PID, os.Geteuid(), sys.Silent(ErrForeign))
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return newClient(nc, peer, hello), nil
}

func newClient(nc *net.UnixConn, daemon Peer, hello Hello) *Client {
	if hello.Protocol == 0 {
		hello.Protocol = Version
	}
	c := &Client{nc: nc, daemon: daemon, turn: make(chan struct{}, 1)}
	c.Verbs = c.Call
	c.in = lines{r: nc, limit: MaxAnswer}
	c.in.wait = func(bool) error { return c.renew(nc.SetReadDeadline) }
	c.turn <- struct{}{}
	var err error
	if c.out, err = appendRequest(nil, []byte{'0'}, MethodHello, hello); err != nil {
		panic("bug: a hello does not encode: " + err.Error())
	}
	return c
}

// connect dials until ctx or busyLimit ends, or the result is not "busy".
func connect(ctx context.Context, path string) (*net.UnixConn, error) {
	var d net.Dialer
	for begun := time.Now(); ; {
		nc, err := d.DialContext(ctx, "unix", path)
		switch {
		case err == nil:
			return nc.(*net.UnixConn), nil
		case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
			return nil, fmt.Errorf("%w: %w", ErrNoDaemon, err)
		case !errors.Is(err, syscall.EAGAIN):
			return nil, err
		}
		sys.Sleep(ctx, 5*time.Millisecond+rand.N(45*time.Millisecond))
		err = ctx.Err()
		if err == nil && time.Since(begun) > busyLimit {
			err = os.ErrDeadlineExceeded
		}
		if err != nil {
			return nil, fmt.Errorf("the daemon at %s is too busy to accept connections%w", path, sys.Silent(err))
		}
	}
}

// renew sets the deadline of the next read or write.
func (c *Client) renew(set func(time.Time) error) error {
	if limit := c.limit(); limit != 0 {
		return set(time.Now().Add(limit))
	}
	return set(time.Time{})
}

// write writes all of b. The time limit starts again whenever the daemon has read.
func (c *Client) write(b []byte) error {
	for {
		if err := c.renew(c.nc.SetWriteDeadline); err != nil {
			return err
		}
		n, err := c.nc.Write(b)
		b = b[n:]
		again := n > 0 && errors.Is(err, os.ErrDeadlineExceeded) || c.goesOn(err)
		if len(b) == 0 || !again {
			return err
		}
	}
}

// interrupt ends reading, except of bytes that have already arrived.
func (c *Client) interrupt() {
	c.nc.CloseRead()
	c.nc.CloseWrite()
}

// Daemon returns the process that listens.
func (c *Client) Daemon() Peer { return c.daemon }

// Close ends the connection, and with it a call under way.
func (c *Client) Close() error {
	var err error
	c.closed.Do(func() { err = c.nc.Close() })
	return err
}

// Call calls a method and decodes its result into a pointer; nil drops it. An error
// of the daemon is an *Error. If ctx ends first, Call returns the error of ctx and
// closes the connection; the wait ends, but accepted work goes on.
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
		greets := c.out != nil
		c.out, c.greeted = nil, !greets
		werr := c.write(frame)
		if c.OnSent != nil {
			c.OnSent()
		}
		// Read even after a failed write: the daemon may have said why.
		if greets {
			refused, err := c.await("0", MethodHello, nil)
			if err = cmp.Or(err, refused); err != nil {
				return c.lose(err, werr)
			}
			c.greeted = true
		}
		failed, err := c.await(string(id), method, result)
		if err != nil {
			return c.lose(err, werr)
		}
		return failed
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
	stop := context.AfterFunc(ctx, c.interrupt)
	defer stop()
	err := f()
	if c.err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// lose records why the connection can no longer be used.
func (c *Client) lose(err, werr error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		c.err = e // the daemon said why
	} else {
		c.err = lost(cmp.Or(werr, err))
	}
	c.Close()
	return c.err
}

// lost is ErrLost with a cause. It names the cause only if bytes arrived that were no
// answer; that the connection has ended is clear from ErrLost.
func lost(cause error) error {
	_, system := errors.AsType[syscall.Errno](cause)
	if system || errors.Is(cause, io.EOF) || errors.Is(cause, io.ErrUnexpectedEOF) || errors.Is(cause, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w%w", ErrLost, sys.Silent(cause))
	}
	return fmt.Errorf("%w: %w", ErrLost, cause)
}

// An answer is one line of the daemon: the answer to a call, or a notification.
type answer struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result any             `json:"result"` // a pointer: it is decoded there, in the same pass
	Error  *Error          `json:"error"`
}

// await reads until the answer to id has come, and decodes its result. failed is the
// error of this call alone; after err the connection can no longer be used.
func (c *Client) await(id, method string, result any) (failed, err error) {
	if result == nil {
		result = new(json.RawMessage)
	}
	for {
		line, err := c.in.next()
		if c.goesOn(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.quiet = 0
		if blank(line) {
			continue
		}
		a := answer{Result: result}
		err = decodeAnswer(line, &a)
		c.in.done()
		switch at := string(a.ID); {
		case err != nil && at == id:
			return fmt.Errorf("result of %s: %s", method, plainly(err)), nil
		case err != nil:
			return nil, fmt.Errorf("the daemon sent something that is no answer: %s", plainly(err))
		case a.Method != "":
			if c.OnNotify != nil {
				c.OnNotify(a.Method, a.Params)
			}
		case a.Error != nil && at == id:
			return a.Error, nil
		case a.Error != nil && at == "null": // about the connection as a whole
			return nil, a.Error
		case at == id:
			return nil, nil
		default:
			return nil, errors.New("the daemon answered another call")
		}
	}
}

// decodeAnswer decodes a line. It ignores members that a does not have: another
// version of the daemon may send more.
func decodeAnswer(line []byte, a *answer) error {
	if nesting(line) > MaxAnswerDepth {
		return fmt.Errorf("it nests deeper than %d levels", MaxAnswerDepth)
	}
	return json.Unmarshal(line, a)
}
