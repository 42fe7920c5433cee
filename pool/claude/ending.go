package claude

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"iris/pool/turn"
)

// An Ending is one way in which a turn ends.
type Ending struct {
	Name    string
	When    string // what the agent writes, for people
	Outcome turn.Outcome

	is  func(r *resultLine) bool
	why string // what went wrong; empty: take it from the agent
}

// endings says how the turn of a result has ended: the first row that fits counts.
// is_error decides about success, never the subtype: API errors come as "success".
// iris-internals(7) shows this table.
var endings = []Ending{
	{"turn limit", "subtype error_max_turns", turn.Limit,
		func(r *resultLine) bool { return r.Subtype == "error_max_turns" }, "turn limit reached"},
	{"budget limit", "subtype error_max_budget_usd", turn.Limit,
		func(r *resultLine) bool { return r.Subtype == "error_max_budget_usd" }, "budget spent"},
	{"interrupted", "terminal_reason aborted_...", turn.Interrupted,
		(*resultLine).aborted, "interrupted"},
	{"interrupted while a hook ran", "terminal_reason of a hook, after a request to interrupt", turn.Interrupted,
		func(r *resultLine) bool { return r.Interrupted && r.hookStopped() }, "interrupted"},
	{"not logged in", "is_error, and status 401 or 403 or words about a login", turn.NotLoggedIn,
		func(r *resultLine) bool {
			return r.IsError && !saysCredit(r.said()) && (r.Status == 401 || r.Status == 403 || saysLogin(r.said()))
		}, ""},
	{"rate limit", "is_error, and status 429 or words about a limit or an exhausted credit", turn.RateLimited,
		func(r *resultLine) bool {
			return r.IsError && (r.Status == 429 || saysRate(r.said()) || saysCredit(r.said()))
		}, ""},
	{"API error", "is_error, and a status of 400 or more", turn.APIError,
		func(r *resultLine) bool { return r.IsError && r.Status >= 400 }, ""},
	{"connection lost", "is_error, and words about an answer that was cut off", turn.Incomplete,
		func(r *resultLine) bool { return r.IsError && saysPartial(r.said()) }, ""},
	{"API error without a status", "is_error, and words about the API; incomplete if the model had spoken", turn.APIError,
		func(r *resultLine) bool { return r.IsError && saysAPI(r.said()) }, ""},
	{"other error", "is_error", turn.Failed,
		func(r *resultLine) bool { return r.IsError }, ""},
	{"tool deferred", "terminal_reason tool_deferred: a hook has put a tool off", turn.Denied,
		(*resultLine).deferred, ""},
	{"command without effect", "num_turns 0, and a command such as /compact that failed", turn.Incomplete,
		func(r *resultLine) bool { return r.Turns == 0 && r.Failed != "" }, ""},
	{"model not asked", "num_turns 0, and no command ran: a hook blocked the message, or the command is unknown", turn.Incomplete,
		(*resultLine).notAsked, ""},
	{"stopped by a hook", "terminal_reason hook_stopped or stop_hook_prevented", turn.Incomplete,
		(*resultLine).hookStopped, "a hook stopped the turn"},
	{"cut off", "stop_reason absent or pause_turn, after a turn of the model", turn.Incomplete,
		(*resultLine).partial, "the answer was cut off before its end"},
	{"tool denied", "permission_denials, a permission_denied line, or a lost approval", turn.Denied,
		func(r *resultLine) bool { return len(r.Denials) > 0 }, ""},
	{"answered", "anything else", turn.Success,
		func(*resultLine) bool { return true }, ""},
}

// Endings returns the table that decides how a turn ended; the first row that fits
// counts.
func Endings() []Ending { return slices.Clone(endings) }

// deferred reports whether a hook has put off a tool call.
func (r *resultLine) deferred() bool { return r.Terminal == "tool_deferred" }

// hookStopped reports whether a hook of the user has ended the turn.
func (r *resultLine) hookStopped() bool {
	return r.Terminal == "hook_stopped" || r.Terminal == "stop_hook_prevented"
}

// partial reports whether the answer ends before its end: its stream was cut off in a
// way that the agent did not notice, or it was to be continued. A turn that called no
// model has no stop reason either.
func (r *resultLine) partial() bool {
	return r.Turns > 0 && (r.Stop == "" || r.Stop == "pause_turn")
}

// refusals begin the program's own answers to commands that it does not run.
var refusals = []string{"Unknown command: ", "Unknown skill: "}

// notAsked reports whether the message was not processed: a hook has blocked it, or
// it is a command that the program does not know or not allow here.
func (r *resultLine) notAsked() bool {
	refused := strings.HasSuffix(r.Text, " isn't available in this environment.")
	for _, prefix := range refusals {
		refused = refused || strings.HasPrefix(r.Text, prefix)
	}
	return r.Turns == 0 && r.origin() == "" && (!r.Local || refused)
}

// complete is the result, with what earlier lines say about the turn.
func (a *turnNotes) complete(r *resultLine, base totals) *turn.Result {
	out := r.result(base)
	out.Model, out.Windows = a.Model, a.Windows
	e := r.ending()
	out.Outcome = e.Outcome
	switch {
	case e.Outcome == turn.Success, e.Outcome == turn.Denied:
		if r.Deferred != nil {
			r.Denials = append(r.Denials, denial(*r.Deferred))
		}
		out.Text = a.answer(r)
	case r.Turns == 0 && !r.IsError:
		out.Text = ""
		out.Err = oneLine(cmp.Or(r.Failed, r.Text, "the agent has not dealt with the message"))
	default:
		out.Err = cmp.Or(e.why, r.reason())
		a.keepSaid(out, r)
	}
	switch out.Outcome {
	case turn.RateLimited:
		out.Resets, out.Limit, out.NothingDone = a.Resets, a.limit(r), !a.Acted
	case turn.NotLoggedIn: // it may not see a login that comes later
		out.Retire = "not logged in"
	}
	return out
}

// helperFailed begins the line on stderr in which Claude Code tells why the apiKeyHelper of
// a settings.json has failed. The result may not name it.
const helperFailed = "apiKeyHelper failed: "

// explainLogin adds why the user's apiKeyHelper has failed to the result of a turn without a
// login; stderr is the last that the agent has written there.
func explainLogin(r *turn.Result, stderr []byte) {
	for line := range bytes.Lines(stderr) {
		if bytes.HasPrefix(line, []byte(helperFailed)) {
			r.Reason, r.Err = turn.HelperFailed, oneLine(string(line))
		}
	}
}

// keepSaid keeps the model's texts in a turn that did not end well: as Text, or as
// Earlier if Text is the error.
func (a *turnNotes) keepSaid(out *turn.Result, r *resultLine) {
	said := a.said(0)
	// A part of an answer before an error of the API is a partial answer.
	if out.Outcome == turn.APIError && r.Status == 0 && a.Anew < len(a.Said) && said != "" {
		out.Outcome = turn.Incomplete
	}
	switch out.Outcome {
	case turn.Incomplete, turn.Limit, turn.Interrupted:
		if said != "" || r.IsError {
			out.Text = said
		}
	default:
		if said != "" {
			out.Earlier = []string{said}
		}
	}
}

// ending returns the row of the table.
func (r *resultLine) ending() Ending {
	for _, e := range endings {
		if e.is(r) {
			return e
		}
	}
	panic("bug: the last ending fits all")
}

// answer is the text of a turn that ended well. The result has only the last text,
// and none if a hook kept the turn going to its end.
func (a *turnNotes) answer(r *resultLine) string {
	switch {
	case given(r.Output) || r.Turns == 0:
		return r.Text
	case r.Text == "":
		return a.said(0)
	case len(a.Said) > 1 && a.Said[len(a.Said)-2].Cut:
		return cmp.Or(a.lastAnswer(), r.Text)
	}
	return r.Text
}

// reason is one line about the failure.
func (r *resultLine) reason() string {
	return cmp.Or(oneLine(r.said()), "agent gave no reason ("+r.Subtype+")")
}

// followed joins the result of a message with that of the turn in which its
// background work has reported.
func followed(first, next *turn.Result) *turn.Result {
	r := *next
	r.Earlier = append(append(r.Earlier[:0:0], first.Earlier...), first.Text)
	r.CostUSD += first.CostUSD
	r.Usage = r.Usage.Plus(first.Usage)
	r.Turns += first.Turns
	r.Duration += first.Duration
	r.API += first.API
	if first.Outcome != turn.Success {
		r.Outcome, r.Err, r.Resets = first.Outcome, first.Err, first.Resets
	}
	r.Structured = r.Structured || first.Structured
	return &r
}

// addDenials adds denied tool calls, each once, with its input, which some of the
// lines about a denial lack. A turn that otherwise ended well becomes denied.
func addDenials(r *turn.Result, denials []denial) {
	at := map[string]int{}
	for _, d := range denials {
		if i, ok := at[d.ID]; ok && d.ID != "" {
			if r.Denials[i].Input == nil {
				r.Denials[i].Input = d.Input
			}
			continue
		}
		at[d.ID] = len(r.Denials)
		r.Denials = append(r.Denials, turn.Denial{Tool: d.Tool, Input: d.Input})
	}
	if len(r.Denials) > 0 && r.Outcome.Answered() {
		r.Outcome, r.Err = turn.Denied, "denied: "+r.Denials[0].Tool
	}
}
