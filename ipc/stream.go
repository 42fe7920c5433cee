package ipc

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Stream asks for what the agent writes in the turn of a message, from its
// beginning or after the Seq of an Output, to its end. It is answered when the
// message has ended and all has been sent; a message that waits for its turn is
// waited for. Whoever reads slowly slows nobody else: what is no longer kept when
// it would be sent is told as an OutputGap.
//
// The lines are the agent's own, as they are. Left out are those that exist only
// because of how iris runs the agent: answers to control requests and changes of
// the session's state; and without Partial the pieces of a text, of which the
// whole comes too.
type Stream struct {
	ID      string `json:"id"`
	After   int64  `json:"after,omitempty"`
	Partial bool   `json:"partial,omitempty"`
	Place   bool   `json:"place,omitempty"` // notify NotifyState whenever its place in the queue changes

	Approvals bool `json:"approvals,omitempty"` // have NotifyAsked and NotifyDecided come
}

// StreamEnd is the end of a stream: all that there was up to Seq has been sent.
type StreamEnd struct {
	Seq int64 `json:"seq"`
}

// SeqBits is where the attempt begins in an Output.Seq: Seq>>SeqBits counts the attempts
// before.
const SeqBits = 40

// Output is one line of an agent, or a part of one that is long. A line is in
// Line; of a long one Parts come one after the other, and Seq with the last.
type Output struct {
	ID   string          `json:"id"`
	Seq  int64           `json:"seq,omitempty"`  // by which one asks for what follows; it grows
	Line json.RawMessage `json:"line,omitempty"` // the bytes that the agent wrote
	Part []byte          `json:"part,omitempty"` // in base64
}

// OutputGap says that what followed After is no longer kept up to Next. Parts of
// a line that is not finished are void.
type OutputGap struct {
	ID    string `json:"id"`
	After int64  `json:"after"`
	Next  int64  `json:"next,omitempty"` // 0: nothing of it is left
}

// outputDepth is the levels that a line may nest, so that the notification with
// it has no more than a client accepts.
const outputDepth = MaxAnswerDepth - 2

// Embeds reports whether a line can be the Line of an Output. One that cannot
// goes as a Part.
func Embeds(line []byte) bool {
	return utf8.Valid(line) && nesting(line) <= outputDepth && json.Valid(line)
}

// AppendJSON appends the output. encoding/json would rewrite the line.
func (o Output) AppendJSON(dst []byte) ([]byte, error) {
	dst = QuoteString(append(dst, `{"id":`...), o.ID)
	if o.Seq != 0 {
		dst = strconv.AppendInt(append(dst, `,"seq":`...), o.Seq, 10)
	}
	if o.Line != nil {
		dst = append(append(dst, `,"line":`...), o.Line...)
	} else {
		dst = append(dst, `,"part":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, o.Part), '"')
	}
	return append(dst, '}'), nil
}
