package claudetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxBody = 64 << 20 // bytes of one request
	maxLog  = 10_000   // requests kept in the log

	limitHeader = "Anthropic-Ratelimit-Unified-"
)

// Stub is a loopback stub of the Messages API. Its methods may be called at
// any time from any goroutine.
type Stub struct {
	URL string // base address, such as http://127.0.0.1:1234

	server *http.Server
	closed chan struct{} // closed by Close; ends requests that hang
	wg     sync.WaitGroup

	mu     sync.Mutex // protects the fields below
	done   bool       // no more requests are accepted
	log    []Request
	number int                  // of the last request
	tries  map[string]int       // of status:CODE:N, by session and text
	limits map[string]time.Time // see LimitUntil
	used   float64              // see Used
	resets time.Time            // of used
}

// Request is one request as the stub saw it.
type Request struct {
	Time      time.Time
	Method    string
	Path      string
	Side      bool // outside the main conversation
	Stream    bool
	Model     string
	Messages  int    // in the request
	User      string // last text of the user
	Continues bool   // it continues after the result of a tool or a cut answer, in the same turn
	Said      string // that result
	Notified  string // the notification of ended background work, if the agent began the turn because of it
	Input     int    // tokens, according to the answer; 0 if it names none
	Output    int
	Tools     int
	Bytes     int
	Session   string // X-Claude-Code-Session-Id
	UserAgent string
	Key       string // X-Api-Key, or the Authorization header
	Retry     string // X-Stainless-Retry-Count
}

// NewStub starts a stub on a free loopback port. It panics if there is none.
func NewStub() *Stub {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("claudetest: %v", err))
	}
	s := &Stub{
		URL:    "http://" + l.Addr().String(),
		closed: make(chan struct{}),
		tries:  map[string]int{},
		limits: map[string]time.Time{},
	}
	s.server = &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0)}
	s.wg.Go(func() { s.server.Serve(l) })
	return s
}

// Close ends every request, answered or not, and waits for the goroutines.
// Closing twice does nothing.
func (s *Stub) Close() {
	s.mu.Lock()
	again := s.done
	s.done = true
	s.mu.Unlock()
	if !again {
		close(s.closed)
		s.server.Close()
	}
	s.wg.Wait()
}

// Env is a complete environment for an agent that uses the stub and keeps its files
// under home. From the caller's environment it takes only PATH.
func (s *Stub) Env(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + home,
		"ANTHROPIC_BASE_URL=" + s.URL,
		"ANTHROPIC_API_KEY=dummy",
		"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
		"DISABLE_AUTOUPDATER=1",
	}
}

// LimitUntil has the stub answer every message with that key or token until then as to a
// subscription that has used up its five hours.
func (s *Stub) LimitUntil(key string, reset time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits[key] = reset
}

// Used has the stub tell with each answer that a subscription has used this part of its
// five hours, which end at that time, and warn from 75% on.
func (s *Stub) Used(part float64, reset time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used, s.resets = part, reset
}

// tellUsed adds that to the header of an answer.
func (s *Stub) tellUsed(h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used == 0 {
		return
	}
	status, reset := "allowed", strconv.FormatInt(s.resets.Unix(), 10)
	if s.used >= 0.75 {
		status = "allowed_warning"
		h.Set(limitHeader+"5h-Surpassed-Threshold", "0.75")
	}
	for name, value := range map[string]string{
		"Status": status, "Reset": reset, "Representative-Claim": "five_hour",
		"5h-Status": status, "5h-Reset": reset, "5h-Utilization": strconv.FormatFloat(s.used, 'f', -1, 64),
	} {
		h.Set(limitHeader+name, value)
	}
}

// limited returns the reset of the limit of a request, and whether it is still to come.
func (s *Stub) limited(r *http.Request) (reset time.Time, limited bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reset = s.limits[strings.TrimPrefix(keyOf(r), "Bearer ")]
	return reset, time.Now().Before(reset)
}

// keyOf is the X-Api-Key of a request, or the Authorization header.
func keyOf(r *http.Request) string {
	return cmp.Or(r.Header.Get("X-Api-Key"), r.Header.Get("Authorization"))
}

// Requests returns the log, oldest first. The newest 10,000 are kept.
func (s *Stub) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.log...)
}

// Turns returns the log's requests of the main conversation.
func (s *Stub) Turns() []Request {
	var out []Request
	for _, r := range s.Requests() {
		if r.Method == http.MethodPost && !r.Side {
			out = append(out, r)
		}
	}
	return out
}

// ServeHTTP implements http.Handler.
func (s *Stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.wg.Done()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeError(w, http.StatusRequestEntityTooLarge, err.Error())
		return
	}
	var req request
	if len(body) > 0 {
		if err := json.Unmarshal(body, &req); err != nil {
			writeError(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	n := s.record(r, &req, len(body))
	w.Header().Set("Request-Id", fmt.Sprintf("req_stub_%d", n))
	s.route(w, r, &reply{stub: s, req: &req, r: r, w: w, n: n, size: len(body)})
}

// route answers by path.
func (s *Stub) route(w http.ResponseWriter, r *http.Request, p *reply) {
	switch {
	case r.Method == http.MethodHead || r.Method == http.MethodGet && r.URL.Path == "/":
		w.WriteHeader(http.StatusOK)
	case r.Method != http.MethodPost:
		writeError(w, http.StatusNotFound, "no such resource")
	case strings.HasSuffix(r.URL.Path, "/count_tokens"):
		writeJSON(w, http.StatusOK, map[string]int{"input_tokens": p.size/4 + 1})
	case r.URL.Path == "/v1/messages":
		if reset, limited := s.limited(r); limited {
			p.limit(reset)
			return
		}
		s.tellUsed(w.Header())
		p.answer()
	default:
		writeError(w, http.StatusNotFound, "no such resource")
	}
}

// enter counts a request, unless the stub is closing.
func (s *Stub) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return false
	}
	s.wg.Add(1)
	return true
}

// record appends to the log and returns the request's number.
func (s *Stub) record(r *http.Request, req *request, size int) int {
	entry := Request{
		Time: time.Now(), Method: r.Method, Path: r.URL.Path,
		Side: req.side() || strings.HasSuffix(r.URL.Path, "/count_tokens"), Stream: req.Stream, Model: req.Model,
		Messages: len(req.Messages), User: req.lastText(), Tools: len(req.Tools), Bytes: size,
		Session:   r.Header.Get("X-Claude-Code-Session-Id"),
		UserAgent: r.UserAgent(), Key: keyOf(r), Retry: r.Header.Get("X-Stainless-Retry-Count"),
	}
	entry.Said, entry.Continues = req.toolResult()
	entry.Continues = entry.Continues || req.resumes()
	if words := req.notified(); words != nil {
		entry.User, entry.Notified = "", strings.Join(words, ", ")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.number++; len(s.log) >= maxLog {
		s.log = s.log[1:]
	}
	s.log = append(s.log, entry)
	return s.number
}

// charge records the tokens of the request with that number.
func (s *Stub) charge(number, input, output int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := len(s.log) - 1 - (s.number - number); i >= 0 {
		s.log[i].Input, s.log[i].Output = input, output
	}
}

// Tokens is the sum of the tokens of all requests in the log, by model, including
// those of subagents and those outside the conversation.
func (s *Stub) Tokens() map[string]Tokens {
	sums := map[string]Tokens{}
	for _, r := range s.Requests() {
		if r.Input+r.Output > 0 {
			t := sums[r.Model]
			sums[r.Model] = Tokens{t.Input + r.Input, t.Output + r.Output}
		}
	}
	return sums
}

// Tokens are the tokens of one request or of several.
type Tokens struct{ Input, Output int }

// try counts the tries of one message and returns which this is, from 1.
func (s *Stub) try(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tries) > maxLog {
		clear(s.tries)
	}
	s.tries[key]++
	return s.tries[key]
}
