package claudetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// stream writes one answer as server-sent events, each flushed at once.
type stream struct {
	p *reply
}

// stream sends the head of a streamed answer.
func (p *reply) stream() *stream {
	p.w.Header().Set("Content-Type", "text/event-stream")
	s := &stream{p}
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

// open begins the answer's only content block.
func (s *stream) open(block map[string]any) {
	s.event("content_block_start", map[string]any{"index": 0, "content_block": block})
}

// delta sends a piece of text.
func (s *stream) delta(text string) {
	s.event("content_block_delta", map[string]any{
		"index": 0, "delta": map[string]any{"type": "text_delta", "text": text},
	})
}

// close ends the block and the message; output is what is counted as tokens.
func (s *stream) close(stop, output string) {
	s.event("content_block_stop", map[string]any{"index": 0})
	s.event("message_delta", map[string]any{
		"delta": map[string]any{"stop_reason": stop, "stop_sequence": nil},
		"usage": s.p.usage(output),
	})
	s.event("message_stop", map[string]any{})
}

// whole answers without streaming.
func (p *reply) whole(block map[string]any, output, stop string) {
	m := p.message()
	m["content"] = []any{block}
	m["stop_reason"] = stop
	m["usage"] = p.usage(output)
	writeJSON(p.w, http.StatusOK, m)
}

// message is what every answer has in common.
func (p *reply) message() map[string]any {
	return map[string]any{
		"id": fmt.Sprintf("msg_stub_%d", p.n), "type": "message", "role": "assistant", "model": p.req.Model,
		"stop_reason": nil, "stop_sequence": nil,
	}
}

// usage counts about four bytes to a token.
func (p *reply) usage(output string) map[string]any {
	return map[string]any{
		"input_tokens": p.size/4 + 1, "output_tokens": len(output)/4 + 1,
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
