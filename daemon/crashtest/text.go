package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"iris/pool/claude/claudetest"
)

// text is what a message says, and what is to be answered. Its token begins it
// and is that of no other message of the run: by it the ledger, the notes and
// the journal mean the same message.
type text struct {
	token  string
	filler int // bytes that follow the token
	answer string
	denied bool // it may be denied instead what it wants permission for
	waits  bool // the agent answers at once, and what counts later, when a subagent has reported
	beside bool // it leaves something to run beside the turn, which may be ended with the agent
	hangs  bool
	file   bool // it comes with a picture
}

// picture is the smallest that there is, in base64.
const picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// content is the text and the picture, as iris keeps them too.
func (t text) content() []byte {
	return fmt.Appendf(nil, `[{"type":"text","text":%q},{"type":"image","source":{"type":"base64","media_type":"image/png","data":%q}}]`, t, picture)
}

// bytes is how many of them iris keeps of the message.
func (t text) bytes() int64 {
	if t.file {
		return int64(len(t.content()))
	}
	return int64(len(t.String()))
}

func (t text) String() string {
	if t.filler == 0 {
		return t.token
	}
	return t.token + " " + claudetest.Text(t.filler)
}

// want is the answer. That of a long text is made when it is asked for.
func (t text) want() string {
	if t.answer != "" {
		return t.answer
	}
	return strings.TrimPrefix(t.String(), "echo:")
}

// fits reports whether that may be the answer.
func (t text) fits(got string) bool {
	return got == t.want() || t.denied && slices.Contains(denials, got)
}

// fitsCut reports whether that may be the answer of one whose agent was ended, by a kill
// or with its daemon, with what it did beside the turn.
func (t text) fitsCut(got string) bool {
	return t.beside && got == t.want() || t.waits && got == "launched"
}

// denials are the answers where nobody has allowed a tool call: a person has
// denied it, its deadline has, or the agent itself, whose daemon was gone.
var denials = []string{
	"the user has denied this",
	"nobody has decided about this within " + approvalTimeout.String() + ", so it is denied",
	"Tool permission request failed: AbortError: Tool permission stream closed before response received",
}

// tokenOf returns the token of a text in the ledger.
func tokenOf(text string) string {
	token, _, _ := strings.Cut(text, " ")
	return token
}

// newText makes up what message number n says: mostly a turn that lasts a while,
// now and then one above the size that is kept in a file of its own. Durations
// carry the number as nanoseconds. A team has either turns that an agent begins
// by itself or results that are written in two pieces: the scripted agent would
// write the lines of the one between the pieces of the other.
func newText(r *rand.Rand, n int, to string) text {
	after := func(least, most int) time.Duration {
		return time.Duration(least+r.IntN(most-least))*time.Millisecond + time.Duration(n)
	}
	switch x := r.IntN(100); {
	case x < 22:
		return text{token: fmt.Sprintf("echo:m%d", n)}
	case x < 28 && to != team(0): // the scripted agent's own turns name no task, and would pass for a report
		return text{token: fmt.Sprintf("echo:m%d", n)}
	case x < 28:
		return text{token: fmt.Sprintf("subagent:%v:m%d", after(1, 200), n), answer: fmt.Sprintf("m%d", n), waits: true}
	case x < 30:
		return text{token: fmt.Sprintf("background:m%d", n), answer: fmt.Sprintf("in the background: m%d", n), beside: true}
	case x < 34:
		return text{token: fmt.Sprintf("echo:m%d", n), filler: 60<<10 + r.IntN(140<<10)}
	case x < 60:
		d := after(1, 120)
		return text{token: fmt.Sprintf("sleep:%v", d), answer: fmt.Sprintf("slept %v", d)}
	case x < 65:
		input := fmt.Sprintf(`{"n":%d}`, n)
		return text{token: "ask:Bash:" + input, answer: "allowed: " + input, denied: true}
	case x < 70:
		d := after(300, 900)
		return text{token: fmt.Sprintf("sleep:%v", d), answer: fmt.Sprintf("slept %v", d)}
	case x < 90:
		words := 2 + r.IntN(40)
		return text{token: fmt.Sprintf("slow:%d:%v", words, after(1, 12)), answer: claudetest.SlowText(words)}
	case to == team(0):
		return text{token: fmt.Sprintf("split:%v", after(5, 100)), answer: "in two halves, ü"}
	}
	d := after(1, 60)
	switch r.IntN(3) {
	case 0:
		return text{token: fmt.Sprintf("cron:%v:own%d", d, n), answer: "scheduled"}
	case 1:
		return text{token: fmt.Sprintf("background:%v:m%d", d, n), answer: fmt.Sprintf("in the background: m%d", n), beside: true}
	}
	return text{token: fmt.Sprintf("spontaneous:%v", d), answer: fmt.Sprintf("begins by itself in %v", d)}
}

// hanging is a turn that never ends by itself.
func hanging(n int) text { return text{token: fmt.Sprintf("hang:m%d", n), hangs: true} }
