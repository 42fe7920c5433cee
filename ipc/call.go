package ipc

import (
	"encoding/json"
	"errors"
	"fmt"
)

// A Call is one request that a handler answers. It belongs to the handler's
// goroutine, except for Notify.
type Call struct {
	Method string
	Params json.RawMessage // an object, or nil
	Peer   Peer            // the caller

	conn *conn
	id   []byte // nil for a notification of the client, which has no answer
	held int    // bytes reserved for Params
}

// Bind decodes Params into v, a pointer to a struct, and drops Params, so that a long
// text is not held twice while its turn runs. Absent params leave v unchanged. A
// field that v does not have is refused.
func (c *Call) Bind(v any) error {
	if len(c.Params) == 0 {
		return nil
	}
	if err := strictly(c.Params, v); err != nil {
		return Errorf(CodeInvalidParams, "params of %s: %s", c.Method, plainly(err))
	}
	c.release()
	return nil
}

// release drops Params.
func (c *Call) release() {
	c.Params = nil
	c.conn.srv.reserve(-c.held)
	c.held = 0
}

// Notify sends the client a notification and never blocks. A client that has too much
// unread is dropped, with ErrSlow. Any goroutine may call it, also after the handler
// has returned; once the connection is gone it returns an error and does nothing.
func (c *Call) Notify(method string, params any) error {
	n, err := AppendNotice(nil, method, params)
	if err != nil {
		return err
	}
	flusher, err := c.conn.out.add(n, true, dropFull)
	if errors.Is(err, ErrSlow) {
		c.conn.srv.opts.Refused(c.conn.peer, err)
	}
	if err == nil && flusher {
		c.conn.aux.Go(c.conn.out.flush)
	}
	return err
}

// NotifyWait is Notify for a stream: when the client has too much unread, it blocks
// the caller instead of dropping the client. When it returns nil, the client has the
// notification, or the system keeps it for the client even if this process dies.
func (c *Call) NotifyWait(method string, params any) error {
	n, err := AppendNotice(nil, method, params)
	if err != nil {
		return err
	}
	return c.SendWait(n)
}

// A Notice is an encoded notification, or several in a row, for one client or many.
type Notice []byte

// AppendNotice appends a notification.
func AppendNotice(n Notice, method string, params any) (Notice, error) {
	n, err := appendRequest(n, nil, method, params)
	if err != nil {
		return n, fmt.Errorf("encode notification %s: %w", method, err)
	}
	return n, nil
}

// SendWait is NotifyWait for an encoded notification, which nobody may change before it
// returns.
func (c *Call) SendWait(n Notice) error {
	flusher, err := c.conn.out.add(n, true, waitFull)
	if err != nil {
		return err
	}
	if flusher {
		c.conn.out.flush()
	}
	return c.conn.out.awaitWritten()
}

// helloOf decodes a client's hello. Another version's hello may have more fields.
func helloOf(params json.RawMessage) (Hello, error) {
	var h Hello
	if len(params) == 0 {
		return h, Errorf(CodeInvalidParams, "%s takes params with the protocol that the client speaks, such as {\"protocol\":%d}", MethodHello, Version)
	}
	if err := json.Unmarshal(params, &h); err != nil {
		return h, Errorf(CodeInvalidParams, "params of %s: %s", MethodHello, plainly(err))
	}
	return h, nil
}

func orUnknown(version string) string {
	if version == "" {
		return "of unknown version"
	}
	return clip(version)
}

// Gone reports whether the client has hung up. The handler's context ends then too,
// but only once the connection's reader has seen it.
func (c *Call) Gone() bool { return peerClosed(c.conn.nc) }
