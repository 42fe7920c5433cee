package ipc

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// ErrSlow says that a client did not read its notifications and was dropped.
var ErrSlow = errors.New("client does not read: dropped")

// largeFrame is the size from which a frame is queued without copying it.
const largeFrame = 16 << 10

// An outbox queues the frames to one client, in order. No goroutine waits for frames:
// a goroutine that adds a frame while nobody writes becomes the writer and calls
// flush, which ends when the queue is empty.
type outbox struct {
	nc        net.Conn
	maxBytes  int
	maxFrames int
	timeout   atomic.Int64 // of a write without progress

	mu   sync.Mutex // protects the fields below; never held during a write
	room sync.Cond  // signals that a part of the queue was taken, the writer is done, or err was set
	queue
	added   uint64 // frames, ever
	written uint64 // of these
	writing bool
	closing bool  // nothing more is added
	err     error // why nothing more is written
}

// A queue holds the frames that wait to be written.
type queue struct {
	large [][]byte // written first
	small []byte   // copies of the small frames, in one piece
	bytes int
	count int
	spare []byte

	// The notifications among them. They have a limit of their own: a large answer
	// that waits must not make a client that keeps reading look slow.
	noteBytes int
	notes     int
}

func (o *outbox) init(nc net.Conn, opts *Options) {
	o.nc, o.maxBytes, o.maxFrames = nc, opts.MaxQueueBytes, opts.MaxQueueFrames
	o.timeout.Store(int64(WriteTimeout))
	o.room.L = &o.mu
}

// How add treats a full queue.
type onFull int

const (
	waitFull onFull = iota // wait for room
	dropFull               // drop the connection
)

// add queues a frame, and may keep it. If flusher is true, the caller is now the
// writer and must call flush.
func (o *outbox) add(frame []byte, note bool, full onFull) (flusher bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if full == dropFull && o.err == nil && (o.noteBytes > o.maxBytes || o.notes >= o.maxFrames) {
		o.failLocked(ErrSlow)
	}
	for full == waitFull && o.err == nil && o.fullLocked() {
		o.room.Wait()
	}
	switch {
	case o.err != nil:
		return false, o.err
	case o.closing:
		return false, net.ErrClosed
	}
	o.push(frame, note)
	o.added++
	flusher = !o.writing
	o.writing = true
	return flusher, nil
}

func (o *outbox) fullLocked() bool { return o.bytes > o.maxBytes || o.count >= o.maxFrames }

func (q *queue) push(frame []byte, note bool) {
	if len(frame) < largeFrame {
		q.small = append(q.small, frame...)
	} else {
		if len(q.small) > 0 {
			q.large = append(q.large, q.small)
			q.small = nil
		}
		q.large = append(q.large, frame)
	}
	q.bytes += len(frame)
	q.count++
	if note {
		q.noteBytes += len(frame)
		q.notes++
	}
}

// flush writes until the queue is empty or the connection has failed. Only the
// writer calls it.
func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && o.count > 0 {
		q := o.queue
		o.queue = queue{small: q.spare}
		o.room.Broadcast()
		o.mu.Unlock()
		err := o.write(&q)
		o.mu.Lock()
		if err != nil {
			o.failLocked(err)
		}
		o.written += uint64(q.count)
		if cap(q.small) <= smallBuffer { // an idle connection keeps no large buffer
			o.spare = q.small[:0]
		}
	}
	o.writing = false
	o.room.Broadcast()
}

// awaitWritten returns when every frame that is queued now is written.
func (o *outbox) awaitWritten() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for last := o.added; o.err == nil && o.written < last; {
		o.room.Wait()
	}
	return o.err
}

func (o *outbox) write(q *queue) error {
	for i, frame := range q.large {
		if err := o.writeAll(frame); err != nil {
			return err
		}
		q.large[i] = nil // free it: the next frame may take long
	}
	return o.writeAll(q.small)
}

// writeAll writes b. The time limit starts again whenever a part got through, so that
// a client that keeps reading gets a large answer whole.
func (o *outbox) writeAll(b []byte) error {
	for len(b) > 0 {
		timeout := o.timeout.Load()
		o.nc.SetWriteDeadline(time.Now().Add(time.Duration(timeout)))
		if o.timeout.Load() != timeout {
			continue // shortenDeadline set another deadline meanwhile
		}
		n, err := o.nc.Write(b)
		b = b[n:]
		if err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
	}
	return nil
}

// shortenDeadline shortens the time that a client has left to read the queue.
func (o *outbox) shortenDeadline(timeout time.Duration) {
	if o.timeout.Load() > int64(timeout) {
		o.timeout.Store(int64(timeout))
		o.nc.SetWriteDeadline(time.Now().Add(timeout))
	}
}

// close ends the connection when the whole queue is written, or cannot be.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closing = true
	for o.writing {
		o.room.Wait()
	}
	o.failLocked(net.ErrClosed)
}

func (o *outbox) failLocked(err error) {
	if o.err != nil {
		return
	}
	o.err = err
	o.queue = queue{}
	o.room.Broadcast()
	o.nc.Close()
}
