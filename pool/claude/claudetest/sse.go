package claudetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// stream writes one answer as server-sent events, each flushed at once.
type stream struct {
	p     *reply
	index int // of the open content block, or of the next one
}

// contentBlock is one block of an answer: a text, or the call of a tool with
// its input.
type contentBlock struct {
	tool string // empty for a text
	text string // or the input, as JSON
}

// block is a whole block in the form of the API.
func (p *reply) block(c contentBlock) map[string]any {
	if c.tool == "" {
		return map[string]any{"type": "text", "text": c.text}
	}
	return map[string]any{
		"type": "tool_use", "id": fmt.Sprintf("toolu_stub_%d", p.n), "name": c.tool, "input": json.RawMessage(c.text),
	}
}

// send answers with blocks; output is the text counted as tokens.
func (p *reply) send(output, stop string, blocks ...contentBlock) {
	if !p.req.Stream {
		p.whole(output, stop, blocks)
		return
	}
	s := p.stream()
	for i, c := range blocks {
		if i > 0 {
			s.closeBlock()
		}
		if c.tool != "" {
			s.open(p.block(contentBlock{tool: c.tool, text: "{}"}))
			s.piece(map[string]any{"type": "input_json_delta", "partial_json": c.text})
			continue
		}
		s.open(p.block(contentBlock{}))
		for _, text := range chunks(c.text, 16<<10) {
			s.delta(text)
		}
	}
	s.close(stop, output)
}

// stream sends the head of a streamed answer.
func (p *reply) stream() *stream {
	p.w.Header().Set("Content-Type", "text/event-stream")
	s := &stream{p: p}
	m := p.message()
	m["content"] = []any{}
	m["usage"] = p.usage("")
	s.event("message_start", map[string]any{"message": m})
	return s
}

// event sends one event; its data gets the event's name as its type.
func (s *stream) event(name string, data map[string]any) {
	data["type"] = name
	fmt.Fprintf(s.p.w, "event: %s\ndata: %s\n\n", name, toJSON(data))
	http.NewResponseController(s.p.w).Flush()
}

// open begins a content block.
func (s *stream) open(block map[string]any) {
	s.event("content_block_start", map[string]any{"index": s.index, "content_block": block})
}

// piece sends a piece of the open block.
func (s *stream) piece(delta map[string]any) {
	s.event("content_block_delta", map[string]any{"index": s.index, "delta": delta})
}

// delta sends a piece of text.
func (s *stream) delta(text string) { s.piece(map[string]any{"type": "text_delta", "text": text}) }

// closeBlock ends the open block.
func (s *stream) closeBlock() {
	s.event("content_block_stop", map[string]any{"index": s.index})
	s.index++
}

// close ends the block and the message; output is the text counted as tokens.
func (s *stream) close(stop, output string) {
	s.closeBlock()
	s.event("message_delta", map[string]any{
		"delta": map[string]any{"stop_reason": stop, "stop_sequence": nil},
		"usage": s.p.usage(output),
	})
	s.event("message_stop", map[string]any{})
}

// whole answers without streaming.
func (p *reply) whole(output, stop string, blocks []contentBlock) {
	content := []any{}
	for _, c := range blocks {
		content = append(content, p.block(c))
	}
	m := p.message()
	m["content"] = content
	m["stop_reason"] = stop
	m["usage"] = p.usage(output)
	writeJSON(p.w, http.StatusOK, m)
}

// message has the members of every answer.
func (p *reply) message() map[string]any {
	return map[string]any{
		"id": fmt.Sprintf("msg_stub_%d", p.n), "type": "message", "role": "assistant", "model": p.req.Model,
		"stop_reason": nil, "stop_sequence": nil,
	}
}

// usage counts about four bytes as a token, and records the tokens in the log.
func (p *reply) usage(output string) map[string]any {
	in, out := p.size/4+1, len(output)/4+1
	p.stub.charge(p.n, in, out)
	return map[string]any{
		"input_tokens": in, "output_tokens": out,
		"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
	}
}

// errorTypes are the API's names for its HTTP errors.
var errorTypes = map[int]string{
	400: "invalid_request_error",
	401: "authentication_error",
	403: "permission_error",
	404: "not_found_error",
	413: "request_too_large",
	429: "rate_limit_error",
	500: "api_error",
	529: "overloaded_error",
}

func writeError(w http.ResponseWriter, code int, text string) {
	kind := errorTypes[code]
	if kind == "" {
		kind = "api_error"
	}
	writeJSON(w, code, map[string]any{
		"type": "error", "error": map[string]any{"type": kind, "message": text},
		"request_id": w.Header().Get("Request-Id"),
	})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write([]byte(toJSON(v)))
}

// toJSON encodes without escaping <, > and &, as the API does.
func toJSON(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("bug: claudetest: %v", err))
	}
	return string(bytes.TrimRight(b.Bytes(), "\n"))
}
