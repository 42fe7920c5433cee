package claude

import (
	"cmp"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"iris/pool/turn"
)

// resultLine is the agent's line at the end of a turn.
type resultLine struct {
	Subtype  string           `json:"subtype"`
	IsError  bool             `json:"is_error"`
	Status   int              `json:"api_error_status"`
	Text     string           `json:"result"`
	Session  string           `json:"session_id"`
	Stop     string           `json:"stop_reason"`
	Terminal string           `json:"terminal_reason"`
	Turns    int              `json:"num_turns"`
	Duration float64          `json:"duration_ms"`
	Errors   []string         `json:"errors"`
	Usage    tokens           `json:"usage"`
	Denials  []denial         `json:"permission_denials"`
	UUIDs    []string         `json:"user_message_uuids"` // of the messages that were answered
	Cost     float64          `json:"total_cost_usd"`
	API      float64          `json:"duration_api_ms"`
	Models   map[string]usage `json:"modelUsage"`
	Since    map[string]usage `json:"model_usage_since_last_result"` // of this result alone; nil if absent
	Output   json.RawMessage  `json:"structured_output"`             // Text follows the JSON schema
	Command  json.RawMessage  `json:"local_command"`                 // the program itself has answered a command
	Index    json.RawMessage  `json:"result_index"`                  // the program numbers its results
	Deferred *deferredTool    `json:"deferred_tool_use"`             // put off by a hook
	From     *origin          `json:"origin"`                        // why the agent began the turn by itself

	// From earlier lines.
	Local       bool   `json:"-"` // the program itself has answered a command
	Failed      string `json:"-"` // why such a command failed
	Interrupted bool   `json:"-"`
}

// deferredTool is a tool call that a hook has put off.
type deferredTool struct {
	ID    string          `json:"id"`
	Tool  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

// origin says what began a turn that no message began.
type origin struct {
	Kind string `json:"kind"`
	Run  string `json:"runId"` // the background work that the turn reports
}

// totals are the sums that a process keeps. Depending on the program's version they
// begin at its start, at the beginning of the conversation or at the last /clear.
type totals struct {
	Cost  float64          `json:"cost"`
	API   float64          `json:"api_ms"`
	Usage map[string]usage `json:"usage,omitempty"` // by model; nil if absent
}

// usage is the usage of one model in modelUsage.
type usage struct {
	Input      int64   `json:"inputTokens"`
	Output     int64   `json:"outputTokens"`
	CacheRead  int64   `json:"cacheReadInputTokens"`
	CacheWrite int64   `json:"cacheCreationInputTokens"`
	Cost       float64 `json:"costUSD,omitempty"`
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

// parseResult decodes a result line. A member with another shape is ignored.
func parseResult(line []byte) (r resultLine, ok bool) {
	err := json.Unmarshal(line, &r)
	_, changed := errors.AsType[*json.UnmarshalTypeError](err)
	return r, (err == nil || changed) && r.Subtype != ""
}

// given reports whether a member of a line is present and not null.
func given(member json.RawMessage) bool { return len(member) > 0 && string(member) != "null" }

// origin is why the agent began the turn, "?" if there is no name for it; empty for
// the turn of a message.
func (r *resultLine) origin() string {
	if r.From == nil {
		return ""
	}
	return cmp.Or(r.From.Kind, "?")
}

// unasked reports whether the turn may be that of a message for which the model was not
// asked.
func (r *resultLine) unasked() bool { return r.origin() == "" && (r.Turns == 0 || r.IsError) }

// run is the background work that the turn has reported.
func (r *resultLine) run() string {
	if r.From == nil {
		return ""
	}
	return r.From.Run
}

// totals are the sums up to this result.
func (r *resultLine) totals() totals { return totals{r.Cost, r.API, r.Models} }

// aborted reports whether the turn was aborted on request.
func (r *resultLine) aborted() bool { return strings.HasPrefix(r.Terminal, "aborted") }

// result converts the line; base are the sums before the turn.
func (r *resultLine) result(base totals) *turn.Result {
	out := &turn.Result{
		Text: r.Text, SessionID: r.Session, Subtype: r.Subtype, Stop: r.Stop, Terminal: r.Terminal,
		Status: r.Status, Turns: r.Turns, Structured: given(r.Output),
		Duration: milliseconds(r.Duration),
		API:      milliseconds(r.API - base.API),
	}
	if r.API < base.API { // the sums were reset
		out.API = milliseconds(r.API)
	}
	out.CostUSD, out.Usage = r.spent(base)
	if r.Subtype == "error_max_budget_usd" {
		out.Retire = "budget spent"
	}
	return out
}

// spent returns the cost and the tokens of the turn: the agent's own figures if there
// are any, else the differences of the sums. Sums that have become smaller were
// reset.
func (r *resultLine) spent(base totals) (cost float64, u turn.Usage) {
	if r.Since != nil {
		for _, m := range r.Since {
			cost += m.Cost
			u = u.Plus(m.tokens())
		}
		return cost, u
	}
	if r.Cost < base.Cost {
		base = totals{}
	}
	cost = r.Cost - base.Cost
	if r.Models == nil {
		return cost, turn.Usage(r.Usage)
	}
	for model, m := range r.Models {
		u = u.Plus(m.tokens()).Minus(base.Usage[model].tokens())
	}
	return cost, u
}

func (u usage) tokens() turn.Usage {
	return turn.Usage{Input: u.Input, Output: u.Output, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite}
}

// overLimit replaces a result line that was too long to read.
func overLimit(limit int64) *turn.Result {
	return &turn.Result{
		Outcome: turn.Failed,
		Err:     "the answer is longer than the limit of " + megabytes(limit),
		Retire:  "answer over the limit",
	}
}

// Texts of failed turns, in the program's own words. API errors come as subtype
// "success".
var (
	saysLogin   = says(`not logged in|please run /login|failed to authenticate|invalid api key|oauth token (has )?expired`)
	saysRate    = says(`rate.?limit|(usage|session|weekly|5-hour) limit reached|hit your .*limit|too many requests`)
	saysPartial = says(`stream (idle|stalled|timed? ?out)|partial response|connection to the api was lost|connection closed (mid|while)|stream ended|incomplete`)
	saysAPI     = says(`^api error|request timed out|request too large|overloaded|selected model`)
)

// says compiles a pattern when it is first needed: every command of iris links this
// package and would pay for it at its start.
func says(pattern string) func(text string) bool {
	compiled := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("(?i)" + pattern) })
	return func(text string) bool { return compiled().MatchString(text) }
}

func saysCredit(text string) bool {
	return strings.Contains(strings.ToLower(text), "credit balance is too low")
}

// said is the agent's own text about the failure.
func (r *resultLine) said() string {
	if len(r.Errors) > 0 {
		return strings.Join(r.Errors, "; ")
	}
	return r.Text[:min(len(r.Text), 2000)]
}

// oneLine shortens text to one line.
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

func megabytes(n int64) string { return strconv.FormatInt(n>>20, 10) + " MB" }
