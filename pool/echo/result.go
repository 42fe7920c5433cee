package echo

import (
	"encoding/json"
	"time"
)

// Result is the line that ends a turn. Success, Failure and APIFailure make the usual
// ones; the server fills in the rest, such as the session and the sums. The members
// are in the order of the real program, in which a long line does not begin with its
// type.
type Result struct {
	DurationAPIMS     int64           `json:"duration_api_ms"`
	StopReason        *string         `json:"stop_reason"`
	SessionID         string          `json:"session_id"`
	TotalCostUSD      float64         `json:"total_cost_usd"`
	Usage             usage           `json:"usage"`
	ModelUsage        map[string]any  `json:"modelUsage"`
	PermissionDenials []Denial        `json:"permission_denials"`
	TerminalReason    string          `json:"terminal_reason,omitempty"`
	FastModeState     string          `json:"fast_mode_state,omitempty"`
	IsError           bool            `json:"is_error"`
	NumTurns          int             `json:"num_turns"`
	Subtype           string          `json:"subtype"`
	APIErrorStatus    json.RawMessage `json:"api_error_status,omitempty"`
	Result            *string         `json:"result,omitempty"`
	Deferred          any             `json:"deferred_tool_use,omitempty"`
	LocalCommand      string          `json:"local_command,omitempty"`
	Type              string          `json:"type"`
	DurationMS        int64           `json:"duration_ms"`
	UUID              string          `json:"uuid"`
	Errors            []string        `json:"errors,omitempty"`
	Origin            *Origin         `json:"origin,omitempty"`

	// The old style lacks these.
	MessageUUID  string   `json:"user_message_uuid,omitempty"`
	MessageUUIDs []string `json:"user_message_uuids,omitempty"`
	Queued       *int     `json:"queued_turn_count,omitempty"`
	Index        *int     `json:"result_index,omitempty"`
	SinceLast    any      `json:"model_usage_since_last_result,omitempty"`

	Spent `json:"-"`

	old bool // is written in the old style
}

// Spent is the usage of one turn; the line has the sums of the process.
type Spent struct {
	Cost   float64
	Input  int64
	Output int64
	API    time.Duration
}

// oldResult is a result in the old style, whose type comes first.
type oldResult struct {
	Type    string `json:"type"`
	Subtype string `json:"subtype"`
	IsError bool   `json:"is_error"`
	*Result
}

// refused reports whether the model call failed, which ends the messages of the turn
// as cancelled.
func (r *Result) refused() bool {
	return r.IsError && (r.TerminalReason == "api_error" || r.TerminalReason == "image_error")
}

// Denial is a tool call that was not permitted.
type Denial struct {
	ToolName  string          `json:"tool_name"`
	ToolUseID string          `json:"tool_use_id"`
	ToolInput json.RawMessage `json:"tool_input"`
}

// Origin marks the result of a turn that the user did not begin.
type Origin struct {
	Kind string `json:"kind"`
	Run  string `json:"runId,omitempty"`
}

type usage struct {
	Input      int64 `json:"input_tokens"`
	CacheWrite int64 `json:"cache_creation_input_tokens"`
	CacheRead  int64 `json:"cache_read_input_tokens"`
	Output     int64 `json:"output_tokens"`
}

// totals are the sums of a process, which the real program reports too.
type totals struct {
	cost          float64
	api           time.Duration
	input, output int64
}

// Success is the result of a turn that answered with text.
func Success(text string) *Result {
	stop := "end_turn"
	return &Result{
		Subtype: "success", APIErrorStatus: json.RawMessage("null"), NumTurns: 1,
		Result: &text, StopReason: &stop, TerminalReason: "completed", FastModeState: "off",
	}
}

// Failure is the result of a turn that ended in an error of the agent's own.
func Failure(errors ...string) *Result {
	return &Result{Subtype: "error_during_execution", IsError: true, Errors: errors}
}

// Result writes r as the result line of t, or of nothing when t is nil.
func (s *Server) Result(t *Turn, r *Result) { s.Line(s.Complete(t, r)) }

// Restore continues the sums of earlier processes.
func (s *Server) Restore(sum Sum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total = totals{cost: sum.Cost, input: sum.Input, output: sum.Output}
}

// Sum returns the current sums.
func (s *Server) Sum() Sum {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Sum{s.total.cost, s.total.input, s.total.output}
}

// Sum is what a session has cost so far.
type Sum struct {
	Cost          float64
	Input, Output int64
}

// Complete fills in r and adds it to the sums.
func (s *Server) Complete(t *Turn, r *Result) *Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sum := range []*totals{&s.total, &s.since} {
		sum.cost += r.Cost
		sum.api += r.API
		sum.input += r.Input
		sum.output += r.Output
	}
	s.failed = r.IsError
	r.Type, r.SessionID, r.UUID, r.old = "result", s.SessionID(), NewUUID(), s.Old
	r.DurationAPIMS, r.TotalCostUSD = s.total.api.Milliseconds(), s.total.cost
	r.Usage.Input, r.Usage.Output = r.Input, r.Output
	r.ModelUsage = s.modelUsage(s.total)
	if r.PermissionDenials == nil {
		r.PermissionDenials = []Denial{}
	}
	if t != nil {
		r.DurationMS = time.Since(t.begun).Milliseconds()
		if t.Message.Origin != "" {
			r.Origin = &Origin{t.Message.Origin, t.Message.Run}
		}
	}
	if !s.Old {
		s.numberLocked(t, r)
	}
	return r
}

// numberLocked fills in the members that the old style lacks. The caller must hold
// s.mu.
func (s *Server) numberLocked(t *Turn, r *Result) {
	none, index := 0, s.results
	r.Queued, r.Index, r.SinceLast = &none, &index, s.modelUsage(s.since)
	s.results++
	s.since = totals{}
	if t == nil {
		return
	}
	if list := ids(t.messages); list != nil {
		r.MessageUUID, r.MessageUUIDs = list[len(list)-1], append(list, ids(t.injected)...)
	}
}

// modelUsage is the sums by model, empty before the first token.
func (s *Server) modelUsage(sum totals) map[string]any {
	if sum.input+sum.output == 0 {
		return map[string]any{}
	}
	return map[string]any{s.model(): map[string]any{
		"inputTokens": sum.input, "outputTokens": sum.output, "cacheReadInputTokens": 0,
		"cacheCreationInputTokens": 0, "webSearchRequests": 0, "costUSD": sum.cost,
	}}
}
