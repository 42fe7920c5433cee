package claudetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// reply answers one request for a message.
type reply struct {
	stub *Stub
	req  *request
	r    *http.Request
	w    http.ResponseWriter
	n    int // number of the request
	size int // bytes of its body
}

// answer does what the user's last text asks for.
func (p *reply) answer() {
	if p.req.side() {
		p.text("ok")
		return
	}
	said, result := p.req.toolResult()
	words := p.req.notified()
	text := p.req.lastText()
	switch list, ok := strings.CutPrefix(text, "list:"); {
	case words != nil:
		p.text("noted: " + strings.Join(words, ", "))
	case p.req.resumes():
		p.rest(text)
	case ok:
		p.list(list, said)
	case result:
		p.text("tool said: " + said)
	default:
		p.do(text)
	}
}

// list does the first line of a list, and the next one after each result of a
// tool.
func (p *reply) list(list, said string) {
	lines := strings.Split(strings.TrimSpace(list), "\n")
	if n := p.req.results(); n < len(lines) {
		p.do(lines[n])
		return
	}
	p.text("tool said: " + said)
}

// rest continues an answer that was cut off: with the text behind the | in
// "max:TEXT|TEXT2".
func (p *reply) rest(text string) {
	if _, rest, ok := strings.Cut(text, "|"); ok {
		p.text(rest)
		return
	}
	p.text("ok")
}

// do does what a text asks for.
func (p *reply) do(text string) {
	verb, arg, _ := strings.Cut(strings.TrimSpace(text), ":")
	switch verb {
	case "after":
		p.after(arg)
	case "echo":
		_, arg, _ = strings.Cut(text, "echo:")
		p.text(arg)
	case "slow":
		p.slow(arg)
	case "size":
		p.text(Text(atoi(arg)))
	case "tool":
		p.tool("", arg)
	case "say":
		p.say(arg)
	case "max":
		first, _, _ := strings.Cut(arg, "|")
		p.send(first, "max_tokens", contentBlock{text: first})
	case "dump":
		p.text(toJSON(p.req.userTexts()))
	case "count":
		p.text(strconv.Itoa(len(p.req.userTexts())))
	case "model":
		p.text(p.req.Model)
	case "effort":
		p.text("effort " + p.req.Output.Effort)
	case "files":
		p.text(toJSON(p.req.files()))
	case "ctx":
		p.text(p.req.context())
	case "status":
		p.status(arg, text)
	case "hang":
		p.wait()
	case "limit":
		p.limit(time.Now().Add(time.Duration(atoi(arg)) * time.Second))
	case "stall", "cut", "short", "open":
		p.broken(verb)
	default:
		p.text("ok: " + text)
	}
}

// after does what TEXT asks for, DELAY later.
func (p *reply) after(arg string) {
	delay, text, _ := strings.Cut(arg, ":")
	until, err := parsePause(delay)
	switch {
	case err != nil:
		p.text("bad after:DELAY:TEXT")
	case !p.pause(until):
		panic(http.ErrAbortHandler)
	default:
		p.do(text)
	}
}

// text answers in one piece, or in several deltas when it is long.
func (p *reply) text(text string) { p.send(text, "end_turn", contentBlock{text: text}) }

// slow answers "d0 d1 ... " with a pause after each delta.
func (p *reply) slow(arg string) {
	number, delay, _ := strings.Cut(arg, ":")
	until, err := parsePause(delay)
	n := atoi(number)
	if err != nil || n > 100_000 {
		p.text("bad slow:N:DELAY")
		return
	}
	s := p.stream()
	s.open(p.block(contentBlock{}))
	for i := range n {
		s.delta(fmt.Sprintf("d%d ", i))
		if !p.pause(until) {
			return
		}
	}
	s.close("end_turn", SlowText(n))
}

// SlowText is the whole answer to slow:N.
func SlowText(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "d%d ", i)
	}
	return b.String()
}

// say answers with a text and a call of a tool: "say:TEXT|tool:NAME:{json}".
func (p *reply) say(arg string) {
	text, call, ok := strings.Cut(arg, "|tool:")
	if !ok {
		p.text("bad say:TEXT|tool:NAME:{json}")
		return
	}
	p.tool(text, call)
}

// tool answers with a call of a tool, and a text before it unless that is empty.
func (p *reply) tool(text, arg string) {
	name, input, _ := strings.Cut(arg, ":")
	if !json.Valid([]byte(input)) {
		p.text("bad tool:NAME:{json}")
		return
	}
	call := contentBlock{tool: name, text: input}
	if text == "" {
		p.send(input, "tool_use", call)
		return
	}
	p.send(text+input, "tool_use", contentBlock{text: text}, call)
}

// status answers with an HTTP error, or with "ok" after the first tries.
func (p *reply) status(arg, text string) {
	parts := strings.Split(arg, ":")
	code := atoi(parts[0])
	if code < 400 || code > 599 {
		p.text("bad status:CODE[:N[:RETRY-AFTER]]")
		return
	}
	if len(parts) > 1 && atoi(parts[1]) > 0 {
		key := fmt.Sprintf("%s %d %s", p.r.Header.Get("X-Claude-Code-Session-Id"), len(p.req.userTexts()), text)
		if p.stub.try(key) > atoi(parts[1]) {
			p.text("ok: " + text)
			return
		}
	}
	if len(parts) > 2 {
		p.w.Header().Set("Retry-After", parts[2])
	}
	writeError(p.w, code, fmt.Sprintf("stub error %d", code))
}

// limit answers as to a subscription that has used up its five hours.
func (p *reply) limit(reset time.Time) {
	for name, value := range map[string]string{
		"Status": "rejected", "Reset": strconv.FormatInt(reset.Unix(), 10), "Representative-Claim": "five_hour",
	} {
		p.w.Header().Set(limitHeader+name, value)
	}
	writeError(p.w, http.StatusTooManyRequests, "stub error 429")
}

// broken sends one delta and then nothing more, with the connection open
// ("stall") or dropped ("cut"); or the whole block, and then drops the connection
// ("short") or ends the stream in good order ("open").
func (p *reply) broken(verb string) {
	s := p.stream()
	s.open(p.block(contentBlock{}))
	s.delta("partial ")
	switch verb {
	case "open":
		s.closeBlock()
		return
	case "short":
		s.closeBlock()
		p.pause(pause{d: time.Second}) // a client that sees the end together with the block drops the block
	case "stall":
		p.wait()
	}
	panic(http.ErrAbortHandler)
}

// wait returns when the client goes or the stub closes, and drops the
// connection.
func (p *reply) wait() {
	select {
	case <-p.r.Context().Done():
	case <-p.stub.closed:
	}
	panic(http.ErrAbortHandler)
}

// pause waits, and reports whether the client still waits for the answer.
func (p *reply) pause(until pause) bool { return until.over(p.r.Context().Done(), p.stub.closed) }

func atoi(s string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
