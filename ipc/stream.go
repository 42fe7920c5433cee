package ipc

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Stream asks for the output of a message's turn, from its beginning or after the Seq
// of an Output, to its end. The answer comes when the message has ended and all has
// been sent; Stream waits for a message that is still queued. A slow reader slows
// nobody else: an OutputGap replaces lines that are no longer kept when it is their
// time.
//
// The lines are the agent's own, unchanged. Lines that exist only because of how iris
// runs the agent are left out: answers to control requests and changes of the
// session's state; without Partial also the pieces of a text, which comes whole
// later.
type Stream struct {
	ID      string `json:"id"`
	After   int64  `json:"after,omitempty"`
	Partial bool   `json:"partial,omitempty"`
	Place   bool   `json:"place,omitempty"` // notify NotifyState when its place in the queue changes

	Approvals bool `json:"approvals,omitempty"` // send NotifyAsked and NotifyDecided
}

// StreamEnd ends a stream: everything up to Seq has been sent.
type StreamEnd struct {
	Seq int64 `json:"seq"`
}

// SeqBits is the lowest bit of the attempt in an Output.Seq: Seq>>SeqBits is the
// number of earlier attempts.
const SeqBits = 40

// Output is one line of an agent, or a part of a long one. Line holds a line. A long
// line comes as several Parts, and the last of them has Seq.
type Output struct {
	ID   string          `json:"id"`
	Seq  int64           `json:"seq,omitempty"`  // the number for After; it grows
	Line json.RawMessage `json:"line,omitempty"` // the bytes that the agent wrote
	Part []byte          `json:"part,omitempty"` // in base64
}

// OutputGap says that the lines after After, up to Next, are no longer kept. Drop the
// parts of an unfinished line.
type OutputGap struct {
	ID    string `json:"id"`
	After int64  `json:"after"`
	Next  int64  `json:"next,omitempty"` // 0: no more lines are kept
}

// outputDepth is how deep a line may nest, so that its notification stays within the
// limit of a client.
const outputDepth = MaxAnswerDepth - 2

// Embeds reports whether a line can be the Line of an Output. Other lines go as
// Parts.
func Embeds(line []byte) bool {
	return utf8.Valid(line) && nesting(line) <= outputDepth && json.Valid(line)
}

// AppendJSON appends the output as JSON. encoding/json would rewrite the line.
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
