// Package modeltest is a loopback stub of the model APIs of agents other than Claude
// Code: Chat Completions (/v1/chat/completions), Responses (/v1/responses) and Gemini
// (:streamGenerateContent). It does what the last text of the user asks for:
//
//	status:CODE        the API fails with that status
//	quota              it fails with 429, the quota being used up
//	slow:N:DELAY[:X]   "d0 d1 ... ", with a pause before each piece
//	tool:COMMAND       a call of the shell; then "tool said: " and what that returned
//	call:NAME:INPUT    a call of that tool, likewise
//	dump               all texts of the user, each in quotes
//	hang               no answer
//	anything else      "ok: " and the text
package modeltest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Stub is a running stub.
type Stub struct {
	URL string // its base address, without /v1

	server *httptest.Server
	closed chan struct{}

	mu    sync.Mutex
	turns []string // the texts that began a turn, in order
}

// New starts a stub.
func New() *Stub {
	s := &Stub{closed: make(chan struct{})}
	s.server = httptest.NewServer(s)
	s.URL = s.server.URL
	return s
}

// Close ends all requests.
func (s *Stub) Close() {
	close(s.closed)
	s.server.CloseClientConnections()
	s.server.Close()
}

// Turns counts the model calls that answered a text of the user itself, not the result of
// a tool.
func (s *Stub) Turns(text string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.turns {
		if t == text {
			n++
		}
	}
	return n
}

// words are those of real APIs.
var words = map[int]string{
	http.StatusBadRequest:      "Invalid value: 'stub'. Supported values are: 'none'.",
	http.StatusUnauthorized:    "Incorrect API key provided: dummy. You can find your API key in your account.",
	http.StatusTooManyRequests: "Rate limit reached for requests per minute (RPM): Limit 3, Used 3, Requested 1.",
}

// ask is a request in the words of no API.
type ask struct {
	text  string   // the last of the user
	all   []string // those of the user
	said  string   // the result of a tool, if the request continues after one
	after bool
	tools []string
	side  bool // not of the conversation, such as a title for it
}

// says is a text of the user.
func (q *ask) says(text string) {
	q.text, q.after = strings.TrimSpace(text), false
	q.all = append(q.all, q.text)
}

// ServeHTTP implements http.Handler.
func (s *Stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var out form
	var q ask
	switch {
	case strings.HasSuffix(r.URL.Path, "/chat/completions"):
		q, out = readChat(body), &chat{}
	case strings.HasSuffix(r.URL.Path, "/responses"):
		q, out = readResponses(body), &responses{}
	case strings.Contains(r.URL.Path, ":streamGenerateContent"):
		q, out = readGemini(body), &gemini{}
	default:
		http.Error(w, `{"data":[],"models":[]}`, http.StatusOK)
		return
	}
	if !q.after && !q.side {
		s.mu.Lock()
		s.turns = append(s.turns, q.text)
		s.mu.Unlock()
	}
	s.answer(w, r, q, out)
}

// answer does what the text asks for.
func (s *Stub) answer(w http.ResponseWriter, r *http.Request, q ask, out form) {
	verb, arg, _ := strings.Cut(q.text, ":")
	switch {
	case q.side:
		s.stream(w, r, out, []string{"a title"}, 0)
	case q.after:
		s.stream(w, r, out, []string{"tool said: " + q.said}, 0)
	case verb == "status":
		code, _ := strconv.Atoi(arg)
		fail(w, code, "stub_error", cmp.Or(words[code], "the stub says "+arg))
	case q.text == "quota":
		fail(w, http.StatusTooManyRequests, "insufficient_quota", "You exceeded your current quota, please check your plan and billing details.")
	case verb == "slow":
		number, pause, _ := strings.Cut(arg, ":")
		pause, _, _ = strings.Cut(pause, ":")
		n, _ := strconv.Atoi(number)
		d, _ := time.ParseDuration(pause)
		var pieces []string
		for i := range n {
			pieces = append(pieces, fmt.Sprintf("d%d ", i))
		}
		s.stream(w, r, out, pieces, d)
	case verb == "tool":
		send(w, out.tool(shell(q.tools, arg)))
	case verb == "call":
		name, input, _ := strings.Cut(arg, ":")
		send(w, out.tool(name, input))
	case q.text == "dump":
		s.stream(w, r, out, []string{fmt.Sprintf("%q", q.all)}, 0)
	case q.text == "hang":
		s.pause(r, time.Hour)
	default:
		s.stream(w, r, out, []string{"ok: ", q.text}, 0)
	}
}

// pause waits; false if the request is over.
func (s *Stub) pause(r *http.Request, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-s.closed:
	case <-r.Context().Done():
	}
	return false
}

// stream sends an answer in pieces.
func (s *Stub) stream(w http.ResponseWriter, r *http.Request, out form, pieces []string, pause time.Duration) {
	send(w, out.begin())
	for _, p := range pieces {
		if pause > 0 && !s.pause(r, pause) {
			return
		}
		send(w, out.piece(p))
	}
	send(w, out.end())
}

// send writes events and flushes them.
func send(w http.ResponseWriter, events []event) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range events {
		if e.name != "" {
			fmt.Fprintf(w, "event: %s\n", e.name)
		}
		data, ok := e.data.(string)
		if !ok {
			raw, _ := json.Marshal(e.data)
			data = string(raw)
		}
		fmt.Fprintf(w, "data: %s\n\n", data)
	}
	w.(http.Flusher).Flush()
}

func fail(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message, "type": kind, "code": kind, "status": kind}})
}
