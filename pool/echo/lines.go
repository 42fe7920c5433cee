package echo

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
)

// Turn is one running turn. Its methods belong to the goroutine of Answer.
type Turn struct {
	Message Message // all messages of the turn as one

	server   *Server
	messages []Message // the same without their texts
	injected []Message // taken in during the turn
	replayed bool      // the user's line is written again; under the server's mutex
	begun    time.Time
	partial  strings.Builder
}

// Delta writes a piece of the answer. The pieces so far are the partial answer of an
// interrupted turn.
func (t *Turn) Delta(text string) {
	t.partial.WriteString(text)
	if !t.server.Options.Partial {
		return
	}
	if !t.server.Old {
		t.server.replay()
	}
	t.server.delta(text)
}

func (s *Server) delta(text string) { s.event(map[string]string{"type": "text_delta", "text": text}) }

// Thought writes a piece of what the model thinks, which is no part of the answer.
func (s *Server) Thought(text string) {
	if s.Options.Partial {
		s.event(map[string]string{"type": "thinking_delta", "thinking": text})
	}
}

func (s *Server) event(delta map[string]string) {
	s.Line(map[string]any{
		"type": "stream_event", "parent_tool_use_id": nil, "session_id": s.SessionID(), "uuid": NewUUID(),
		"event": map[string]any{"type": "content_block_delta", "index": 0, "delta": delta},
	})
}

// Flush writes the pieces so far as a text of its own, which is not the answer: a tool
// comes next.
func (t *Turn) Flush() {
	text := t.partial.String()
	t.partial.Reset()
	t.server.Blocks(map[string]string{"type": "text", "text": text})
}

// Reply is how a turn ends.
type Reply struct {
	Text   string  // the answer
	Result *Result // instead of a plain success
	Busy   bool    // leave out the state line after the result
	Leave  bool    // as Busy, and the session ends: no message must be written now
	After  func()  // runs between the result and that state line; may be nil

	// Ending runs before the lines that end the turn, when an interrupt comes too late.
	// It is told whether one came in time: these lines then say so. It may be nil.
	Ending func(interrupted bool)
}

// Assistant writes the answer, after the lines that must come before it.
func (t *Turn) Assistant(text string) {
	s := t.server
	if s.Options.Partial && t.partial.Len() == 0 {
		s.replay()
		s.delta(text)
	}
	s.Blocks(map[string]string{"type": "text", "text": text})
}

// Blocks writes an assistant line with one block of any kind.
func (s *Server) Blocks(block any) {
	s.Answered(nil, map[string]any{
		"id": "msg_" + NewUUID(), "type": "message", "role": "assistant", "model": s.model(),
		"content": []any{block}, "stop_reason": nil, "stop_sequence": nil, "context_management": nil, "usage": usage{},
	})
}

// Answered writes an assistant line with a whole message and fields of its own.
func (s *Server) Answered(fields, message map[string]any) {
	line := map[string]any{
		"type": "assistant", "parent_tool_use_id": nil, "session_id": s.SessionID(), "uuid": NewUUID(), "message": message,
	}
	s.replay()
	maps.Copy(line, fields)
	maps.Copy(line, s.opening())
	s.Line(line)
}

// userLine writes a user line.
func (s *Server) userLine(content any, uuid string, replay bool) {
	if uuid == "" {
		uuid = NewUUID()
	}
	line := map[string]any{
		"type": "user", "message": map[string]any{"role": "user", "content": content}, "parent_tool_use_id": nil,
		"session_id": s.SessionID(), "uuid": uuid, "timestamp": stamp(),
	}
	if replay {
		line["isReplay"] = true
	}
	s.Line(line)
}

func stamp() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

// User writes a user line with one block, such as the result of a tool.
func (s *Server) User(block any) { s.userLine([]any{block}, "", false) }

// aborted writes the lines of an interrupted turn.
func (s *Server) aborted(t *Turn) {
	if text := t.partial.String(); text != "" {
		s.Blocks(map[string]string{"type": "text", "text": text})
	}
	s.User(map[string]string{"type": "text", "text": "[Request interrupted by user]"})
	r := Failure("[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=null")
	r.NumTurns, r.TerminalReason, r.FastModeState = 2, "aborted_streaming", "off"
	s.Result(t, r)
}

// stateLocked writes a state line when the state changes. The caller must hold s.mu,
// so that the lines are in the order of the changes.
func (s *Server) stateLocked(running bool) {
	if s.running == running {
		return
	}
	s.running = running
	word := "idle"
	if running {
		word = "running"
	}
	if s.States {
		s.System("session_state_changed", map[string]any{"state": word})
	}
}

// System writes a system line with the given fields.
func (s *Server) System(subtype string, fields map[string]any) {
	line := map[string]any{"type": "system", "subtype": subtype, "session_id": s.SessionID(), "uuid": NewUUID()}
	for k, v := range fields {
		line[k] = v
	}
	s.Line(line)
}

func (s *Server) model() string {
	if s.Options.Model != "" {
		return s.Options.Model
	}
	return s.Model
}

// Line writes v as one line of JSON, in one write. It ignores errors, as the real
// program does.
func (s *Server) Line(v any) { s.Raw(Encode(v)) }

// Encode returns v as a line of JSON. As in the real program the type comes first,
// except in a result, where it comes after the text.
func Encode(v any) []byte {
	var b bytes.Buffer
	if r, ok := v.(*Result); ok && r.old {
		v = oldResult{r.Type, r.Subtype, r.IsError, r}
	}
	m, ok := v.(map[string]any)
	if !ok || m["type"] == nil || m["subtype"] != nil && len(m) == 2 || len(m) == 1 {
		encode(&b, v)
		return b.Bytes()
	}
	rest := maps.Clone(m)
	sep := byte('{')
	for _, name := range []string{"type", "subtype"} {
		if m[name] != nil {
			fmt.Fprintf(&b, "%c%q:%q", sep, name, m[name])
			sep = ','
		}
		delete(rest, name)
	}
	at := b.Len()
	encode(&b, rest)
	b.Bytes()[at] = sep
	return b.Bytes()
}

func encode(b *bytes.Buffer, v any) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("bug: echo: %v", err))
	}
}

// Raw writes bytes as they are, between lines.
func (s *Server) Raw(p []byte) {
	s.out.Lock()
	defer s.out.Unlock()
	s.Stdout.Write(p)
}

// NewUUID returns a random UUID.
func NewUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
