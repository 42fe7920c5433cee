package claude

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"strings"
	"time"

	"iris/pool/turn"
)

// turnNotes reads the agent's output, line by line, and says how the given message
// ended, and which turns were the agent's own. A live Process and ReadOutcome both
// use it, so that a turn ends in the same way with a daemon and without.
//
// # Whose turn it is
//
// An agent also begins turns by itself: because of its scheduler, background work
// that has ended, or other sessions. A result belongs to the message if one of these
// lines says that its turn does:
//
//	command_lifecycle started, with the uuid of the message: its turn is the one under
//	  way, also when it was put into one that had begun for something else
//	user line with isReplay and that uuid: the same, where the program has no lifecycle
//	result with that uuid in user_message_uuids
//	result without a turn of the model, or with an error, and then idle: where the program
//	  has no lifecycle, and writes no replay for such a one
//
// The message is over with that result; or, while subagents still work for it, when
// the state is idle: each of them reports in a turn that belongs to the message too.
// A program without lifecycle says idle beside subagents; then the message is over
// when no subagent is left.
type turnNotes struct {
	Notes
	spool io.ReaderAt // the file of the lines
}

// Notes is the state of turnNotes for another image of this program.
type Notes struct {
	// Of the process.
	Lifecycle bool      // the program reports by uuid what becomes of a message
	State     string    // of the last state line; empty before the first
	Model     string    // as the last init line names it
	Totals    totals    // of the last result
	Resets    time.Time // of a limit that was reached; zero if there is none or it is unknown
	Limit     string    // which limit that is, in words
	Windows   []turn.Window
	Tasks     map[string]Task
	Resumed   string // transcript of before the start, in which a schedule may be; empty if it has been read
	Scheduled bool   // the agent has begun a turn at a time of its own, or is to begin one
	Last      string // id of the last answer in the conversation, as the agent knows it; empty if unknown

	// Of the running turn, or of the last one.
	InTurn      bool
	Wakeup      string // why the agent has begun it by itself, if it says so
	Said        []spoken
	Acted       bool   // the model has said or called something
	Anew        int    // how many of Said came before the model was last asked anew
	Interrupted bool   // on request
	Local       bool   // the program itself has answered a command
	Failed      string // why such a command failed

	Lost abandonedRequests // tool calls that nobody could decide about

	Message *awaited // nil when none is awaited
}

// awaited is the message that was last given to the agent.
type awaited struct {
	UUID    string
	NoWait  bool // the agent's first answer ends it, even if subagents still work
	Heard   bool // the agent has it
	Mine    bool // the running turn belongs to the message
	Denials []denial
	Lost    []string        // calls of its subagents that nobody could decide about
	Older   map[string]bool // runs of the work that was there before

	First *handedResult // of its first turn, while subagents work for it
	Held  *handedResult // of a turn that may be its own: see turnNotes
}

// found is the content of a line.
type found struct {
	result  bool         // the line is the end of a turn
	state   bool         // the line names the agent's state
	session string       // id of the conversation, if the line has one that counts
	begins  bool         // a turn has begun
	mode    string       // of permissions, if the line names it
	over    *turn.Result // the message has ended with it
	cutOff  bool         // and work of its subagents has ended without a report
	dropped bool         // the message was taken out of the agent's queue and never begins
	own     *OwnTurn     // an own turn has ended
}

// expect awaits a message, beginning with the next line.
func (a *turnNotes) expect(uuid string, noWait bool) {
	a.Message = &awaited{UUID: uuid, NoWait: noWait, Older: a.age()}
}

// note records the content of a line; at is its offset in the spool. stopping says
// that the agent is ending: work that is killed now has not ended by itself.
func (a *turnNotes) note(typ, subtype string, line []byte, at int64, stopping bool) (f found) {
	switch typ {
	case "user":
		a.user(line, nil)
	case "assistant":
		a.assistant(line, at)
	case "stream_event":
		a.Acted = true
		if n := len(a.Said); n > 0 && bytes.Contains(line, []byte(`"stop_reason":"max_tokens"`)) {
			a.Said[n-1].Cut = true
		}
	case "rate_limit_event":
		a.limited(line)
	case "command_lifecycle":
		a.lifecycle(line, &f)
	case "system":
		a.system(subtype, line, stopping, &f)
	case "result":
		a.result(line, &f)
	}
	return f
}

// denied adds calls of subagents that iris has denied: no line reports them.
func (a *turnNotes) denied(calls []denial) {
	if a.Message != nil {
		a.Message.Denials = append(a.Message.Denials, calls...)
	}
}

// long records a line of which only head and tail were read.
func (a *turnNotes) long(typ string, head, tail []byte, at, length int64) {
	switch typ {
	case "user":
		a.user(head, tail)
	case "assistant":
		a.Scheduled = a.Scheduled || schedules(head)
		a.Acted = a.Acted || !isSynthetic(head)
		if !ofSubagent(head) && !ofSubagent(tail) && !isSynthetic(head) {
			a.Last = lineID(tail)
			a.Said = append(a.Said, spoken{At: at, Len: length})
		}
	}
}

// user looks for the signs of a replay, of an interrupt, and that the model is asked
// anew. Of a long line it gets both ends.
func (a *turnNotes) user(line, tail []byte) {
	has := func(s string) bool { return bytes.Contains(line, []byte(s)) || bytes.Contains(tail, []byte(s)) }
	a.returned(line)
	m := a.Message
	switch {
	case m != nil && has(`"isReplay":true`) && has(`"uuid":"`+m.UUID+`"`):
		m.Heard = true
		m.Mine = m.Mine || !a.Lifecycle
	case has(streamClosed), has(askFailed):
		a.lost(line)
		a.Anew = len(a.Said)
	case ofSubagent(line) || ofSubagent(tail):
	case has(`"type":"tool_result"`):
		a.Anew = len(a.Said)
	case has(`"text":"[Request interrupted by user`):
		a.Interrupted = true
	case len(a.Said) > 0 && has(`"isSynthetic":true`) && has(" Resume directly "):
		a.Said[len(a.Said)-1].Cut = true
	}
}

// ofSubagent reports whether a line comes from a subagent. Inside a text every
// quotation mark has a backslash before it.
func ofSubagent(line []byte) bool { return bytes.Contains(line, []byte(`"parent_tool_use_id":"`)) }

// isSynthetic reports whether the program itself wrote the text in a line, not the
// model.
func isSynthetic(line []byte) bool { return bytes.Contains(line, []byte(`"model":"<synthetic>"`)) }

// lineID returns the id of a line of the agent, which comes after the message in it; empty
// if it has none.
func lineID(line []byte) string {
	const member = `"uuid":"`
	at := bytes.LastIndex(line, []byte(member)) + len(member)
	if at < len(member) || len(line) < at+36 {
		return ""
	}
	return string(line[at : at+36])
}

func (a *turnNotes) assistant(line []byte, at int64) {
	a.Scheduled = a.Scheduled || schedules(line)
	a.Acted = a.Acted || !isSynthetic(line)
	switch {
	case ofSubagent(line):
	case isSynthetic(line):
		a.Local = true
		if why, is := strings.CutPrefix(textOf(line), "Error: "); is {
			a.Failed = oneLine(why)
		}
	default:
		a.Last = lineID(line)
		if s := (spoken{At: at, Len: int64(len(line))}); a.kept()+len(line) <= maxKept {
			if s.Text = textOf(line); s.Text != "" {
				a.Said = append(a.Said, s)
			}
		} else {
			a.Said = append(a.Said, s)
		}
	}
}

// lifecycle records what becomes of a message.
func (a *turnNotes) lifecycle(line []byte, f *found) {
	var l struct {
		UUID   string `json:"command_uuid"`
		State  string `json:"state"`
		Wakeup string `json:"wakeup_source"`
	}
	decode(line, &l)
	a.Lifecycle = true
	m := a.Message
	switch mine := m != nil && m.UUID == l.UUID; {
	case mine && l.State == "started":
		m.Heard, m.Mine = true, true
		a.begin()
	case mine && l.State == "queued":
		m.Heard = true
	case mine && l.State != "completed" && !m.Mine && m.First == nil: // cancelled, discarded, refused
		f.dropped = true
	case !mine && l.State == "started":
		a.begin()
		a.Wakeup = wakeupOrigin(l.Wakeup)
	}
}

// begin is called at the signs that a turn begins.
func (a *turnNotes) begin() {
	a.InTurn = true
	a.Said, a.Anew = nil, 0
	a.Wakeup, a.Interrupted, a.Local, a.Failed, a.Acted = "", false, false, "", false
}

// system handles the lines in which the agent reports about itself.
func (a *turnNotes) system(subtype string, line []byte, stopping bool, f *found) {
	switch subtype {
	case "session_state_changed":
		a.stateIs(line, f)
	case "init":
		var m struct {
			Session string `json:"session_id"`
			Model   string `json:"model"`
			Mode    string `json:"permissionMode"`
		}
		decode(line, &m)
		f.session, f.begins, f.mode = m.Session, true, m.Mode
		a.Model, a.InTurn = m.Model, true
	case "status":
		var m struct {
			Mode   string `json:"permissionMode"`
			Result string `json:"compact_result"`
			Error  string `json:"compact_error"`
		}
		decode(line, &m)
		f.mode = m.Mode
		if m.Result == "failed" {
			a.Failed = cmp.Or(m.Error, "nothing was compacted")
		}
	case "permission_denied":
		var d denial
		if decode(line, &d); a.Message != nil {
			a.Message.Denials = append(a.Message.Denials, d)
		}
	default:
		a.task(subtype, line, stopping)
	}
}

// stateIs records the agent's state. Idle ends everything that was begun; see
// turnNotes.
func (a *turnNotes) stateIs(line []byte, f *found) {
	var s struct {
		State   string `json:"state"`
		Session string `json:"session_id"`
	}
	decode(line, &s)
	a.State, f.state, f.session = s.State, true, s.Session
	switch {
	case s.State == "running" && !a.InTurn:
		a.begin()
	case s.State == "idle":
		a.InTurn = false
		f.cutOff = len(a.subagents()) > 0
		a.forgetEnded()
		if m := a.Message; m != nil && (m.First != nil && (m.NoWait || len(a.working()) == 0) || m.Held != nil) {
			f.over = a.finish((*turn.Result)(cmp.Or(m.First, m.Held)))
		}
	}
}

// result records the end of a turn.
func (a *turnNotes) result(line []byte, f *found) {
	r, ok := parseResult(line)
	if !ok {
		return
	}
	f.result, f.session = true, r.Session
	base := a.Totals
	a.Totals = r.totals()
	r.Local = given(r.Command) || a.Local && r.Index == nil
	r.Failed, r.Interrupted = a.Failed, a.Interrupted
	res := a.complete(&r, base)
	a.ended(res, &r, f)
}

// ended decides whose turn has ended.
func (a *turnNotes) ended(res *turn.Result, r *resultLine, f *found) {
	m, wakeup := a.Message, a.Wakeup
	a.begin() // nothing of this turn belongs to the next
	a.InTurn = false
	switch {
	case m != nil && m.First == nil && m.answered(r):
		m.Heard, m.Mine, m.First = true, false, (*handedResult)(res)
		m.Denials = append(m.Denials, r.Denials...)
		if m.NoWait || a.State == "idle" || len(a.subagents()) == 0 {
			f.over = a.finish(res)
		}
	case m != nil && m.First != nil && r.origin() == OriginTask && !m.Older[r.run()]:
		m.First = (*handedResult)(followed((*turn.Result)(m.First), res))
		a.reported(r.run())
		m.Denials = append(m.Denials, r.Denials...)
	case m != nil && m.First == nil && !a.Lifecycle && r.unasked():
		m.Held = (*handedResult)(res)
	case res.Turns > 0 || res.CostUSD > 0: // otherwise an earlier process has left it
		f.own = newOwnTurn(res, cmp.Or(r.origin(), wakeup, a.unnamed()))
		a.Scheduled = a.Scheduled || f.own.Origin == OriginScheduler
	}
}

// answered reports whether a result belongs to the message. The result may have an
// origin if the message was put into a turn that had begun for something else; but
// without a turn of the model an earlier process has left it. An earlier iris did not
// record the uuid.
func (m *awaited) answered(r *resultLine) bool {
	return m.Mine && (r.origin() == "" || r.Turns > 0) || slices.Contains(r.UUIDs, m.UUID) || m.UUID == "" && r.origin() == ""
}

// finish returns the end of the awaited message.
func (a *turnNotes) finish(r *turn.Result) *turn.Result {
	m := a.Message
	a.Message = nil
	r.Background = a.background(false)
	denials := append(m.Denials, a.calls(m.Lost)...)
	addDenials(r, denials)
	a.Lost.explain(r, denials)
	return r
}

// tooLong records the end of a turn whose line is too long to read.
func (a *turnNotes) tooLong(limit int64, f *found) {
	r := overLimit(limit)
	a.ended(r, &resultLine{Turns: 1}, f)
}

// isResult reports whether a line is a result, from both its ends. Inside a text
// every quotation mark has a backslash before it.
func isResult(head, tail []byte) bool {
	typ, _, _ := route(head)
	return typ == "result" || typ == "" && bytes.Contains(tail, []byte(`"type":"result"`))
}

// last returns the end of the message, as far as it got, when the agent is gone; nil
// if there is none.
func (a *turnNotes) last() *turn.Result {
	m := a.Message
	if m == nil || m.First == nil && m.Held == nil {
		return nil
	}
	unreported := a.subagents() // even those that have ended
	r := a.finish((*turn.Result)(cmp.Or(m.First, m.Held)))
	if len(r.Background) == 0 && m.First != nil && !m.NoWait {
		r.Background = unreported
	}
	return r.CutOff()
}
