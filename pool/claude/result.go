package claude

import (
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"time"

	"iris/pool"
)

// resultLine is what the agent says at the end of a turn. Costs in it are sums
// over the life of the process, counts are of the turn.
type resultLine struct {
	Subtype    string
	IsError    bool
	Status     int
	Text       string
	Session    string
	Stop       string
	Terminal   string
	Turns      int
	Duration   float64 // milliseconds
	Errors     []string
	Usage      tokens
	Denials    []denial
	Structured bool // Result follows the JSON schema
	Origin     bool // a turn that the agent began by itself
	Totals     totals
}

// totals are the sums that a process keeps from its start on.
type totals struct {
	Cost  float64          `json:"cost"`
	API   float64          `json:"api_ms"`
	Usage map[string]usage `json:"usage,omitempty"` // by model; nil when not told
}

// usage is one model's in modelUsage.
type usage struct {
	Input      int64 `json:"inputTokens"`
	Output     int64 `json:"outputTokens"`
	CacheRead  int64 `json:"cacheReadInputTokens"`
	CacheWrite int64 `json:"cacheCreationInputTokens"`
}

// tokens is the usage of the turn's own conversation.
type tokens struct {
	Input      int64 `json:"input_tokens"`
	Output     int64 `json:"output_tokens"`
	CacheRead  int64 `json:"cache_read_input_tokens"`
	CacheWrite int64 `json:"cache_creation_input_tokens"`
}

type denial struct {
	ID    string          `json:"tool_use_id"`
	Tool  string          `json:"tool_name"`
	Input json.RawMessage `json:"tool_input"`
}

// parseResult decodes a result line. The answer is most of it and is decoded
// by hand, once; the other members go through encoding/json.
func parseResult(line []byte) (resultLine, bool) {
	var r resultLine
	into := map[string]any{
		"subtype": &r.Subtype, "is_error": &r.IsError, "api_error_status": &r.Status, "session_id": &r.Session,
		"stop_reason": &r.Stop, "terminal_reason": &r.Terminal, "num_turns": &r.Turns, "duration_ms": &r.Duration,
		"errors": &r.Errors, "usage": &r.Usage, "permission_denials": &r.Denials,
		"total_cost_usd": &r.Totals.Cost, "duration_api_ms": &r.Totals.API, "modelUsage": &r.Totals.Usage,
	}
	ok := fields(line, func(key, val []byte) bool {
		switch k := string(key); k {
		case "result":
			r.Text, _ = unquote(val)
		case "structured_output":
			r.Structured = string(val) != "null"
		case "origin":
			r.Origin = string(val) != "null"
		default:
			if v := into[k]; v != nil {
				decode(val, v)
			}
		}
		return true
	})
	return r, ok && r.Subtype != ""
}

// result turns the line into the pool's words; base are the sums before the
// turn.
func (r *resultLine) result(base totals) *pool.Result {
	out := &pool.Result{
		Text: r.Text, SessionID: r.Session, Subtype: r.Subtype, Stop: r.Stop, Terminal: r.Terminal,
		Status: r.Status, Turns: r.Turns, Structured: r.Structured,
		CostUSD:  r.Totals.Cost - base.Cost,
		Duration: milliseconds(r.Duration),
		API:      milliseconds(r.Totals.API - base.API),
		Usage:    r.usage(base.Usage),
	}
	for _, d := range r.Denials {
		out.Denials = append(out.Denials, pool.Denial{Tool: d.Tool, Input: d.Input})
	}
	out.Outcome = r.outcome()
	if out.Outcome != pool.OutcomeSuccess {
		out.Err = r.explain(out.Outcome)
	}
	if r.Subtype == "error_max_budget_usd" {
		out.Retire = "budget spent"
	}
	return out
}

// overLimit stands for a result line that was too long to be read.
func overLimit(limit int64) *pool.Result {
	return &pool.Result{
		Outcome: pool.OutcomeFailed,
		Err:     "the answer is longer than the limit of " + megabytes(limit),
		Retire:  "answer over the limit",
	}
}

// usage is what all models together took in this turn.
func (r *resultLine) usage(base map[string]usage) pool.Usage {
	if r.Totals.Usage == nil {
		return pool.Usage(r.Usage)
	}
	var sum pool.Usage
	for model, u := range r.Totals.Usage {
		b := base[model]
		sum.Input += u.Input - b.Input
		sum.Output += u.Output - b.Output
		sum.CacheRead += u.CacheRead - b.CacheRead
		sum.CacheWrite += u.CacheWrite - b.CacheWrite
	}
	return sum
}

// What a failed turn says of itself, in the program's own words. API errors
// come as subtype "success".
var (
	saysLogin   = says(`not logged in|please run /login|failed to authenticate|invalid api key|oauth token (has )?expired|credit balance is too low`)
	saysRate    = says(`rate.?limit|(usage|session|weekly|5-hour) limit reached|hit your .*limit|too many requests`)
	saysPartial = says(`stream (idle|stalled|timed? ?out)|partial response|connection to the api was lost|connection closed (mid|while)|stream ended|incomplete`)
	saysAPI     = says(`^api error|request timed out|request too large|overloaded|selected model`)
)

// says compiles a pattern when it is first needed: every command of iris links
// this package, and would pay for it at its start.
func says(pattern string) func(text string) bool {
	compiled := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("(?i)" + pattern) })
	return func(text string) bool { return compiled().MatchString(text) }
}

// partial reports whether an answer ends where the model did not end it: its
// stream was cut off so cleanly that the agent took it for whole, or it was to be
// gone on with. A turn in which no model was called has no stop reason either.
func (r *resultLine) partial() bool {
	return r.Turns > 0 && (r.Stop == "" || r.Stop == "pause_turn")
}

// hookStopped is the terminal reason of a turn that a hook of the user has ended.
const hookStopped = "hook_stopped"

// outcome decides by is_error, never by the subtype.
func (r *resultLine) outcome() pool.Outcome {
	if !r.IsError {
		switch {
		case r.partial(), r.Terminal == hookStopped:
			return pool.OutcomeIncomplete
		case len(r.Denials) > 0:
			return pool.OutcomeDenied
		}
		return pool.OutcomeSuccess
	}
	switch r.Subtype {
	case "error_max_turns", "error_max_budget_usd":
		return pool.OutcomeLimit
	}
	said := r.said()
	switch {
	case strings.HasPrefix(r.Terminal, "aborted"):
		return pool.OutcomeInterrupted
	case r.Status == 401 || r.Status == 403 || saysLogin(said):
		return pool.OutcomeNotLoggedIn
	case r.Status == 429 || saysRate(said):
		return pool.OutcomeRateLimited
	case r.Status >= 400:
		return pool.OutcomeAPIError
	case saysPartial(said):
		return pool.OutcomeIncomplete
	case saysAPI(said):
		return pool.OutcomeAPIError
	}
	return pool.OutcomeFailed
}

// said is the agent's own account of what went wrong.
func (r *resultLine) said() string {
	if len(r.Errors) > 0 {
		return strings.Join(r.Errors, "; ")
	}
	return r.Text[:min(len(r.Text), 2000)]
}

// explain is one line on what went wrong.
func (r *resultLine) explain(o pool.Outcome) string {
	switch {
	case o == pool.OutcomeDenied:
		return "denied: " + r.Denials[0].Tool
	case o == pool.OutcomeInterrupted:
		return "interrupted"
	case !r.IsError && r.Terminal == hookStopped:
		return "a hook stopped the turn"
	case !r.IsError:
		return "the answer was cut off before its end"
	case r.Subtype == "error_max_turns":
		return "turn limit reached"
	case r.Subtype == "error_max_budget_usd":
		return "budget spent"
	}
	if s := oneLine(r.said()); s != "" {
		return s
	}
	return "agent gave no reason (" + r.Subtype + ")"
}

// oneLine makes text fit for a message: one line, not too long.
func oneLine(text string) string {
	s := strings.Join(strings.Fields(text), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:297], "") + "..."
	}
	return s
}

func milliseconds(ms float64) time.Duration {
	return time.Duration(ms * float64(time.Millisecond))
}
