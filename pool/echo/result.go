package echo

import (
	"encoding/json"
	"time"
)

// Result is the line that ends a turn. Success, Failure and APIFailure make
// the usual ones; the server fills in what it knows better, such as the session
// and the sums.
type Result struct {
	Type              string          `json:"type"`
	Subtype           string          `json:"subtype"`
	IsError           bool            `json:"is_error"`
	APIErrorStatus    json.RawMessage `json:"api_error_status,omitempty"`
	DurationMS        int64           `json:"duration_ms"`
	DurationAPIMS     int64           `json:"duration_api_ms"`
	NumTurns          int             `json:"num_turns"`
	Result            *string         `json:"result,omitempty"`
	StopReason        *string         `json:"stop_reason"`
	SessionID         string          `json:"session_id"`
	TotalCostUSD      float64         `json:"total_cost_usd"`
	Usage             usage           `json:"usage"`
	ModelUsage        map[string]any  `json:"modelUsage"`
	PermissionDenials []Denial        `json:"permission_denials"`
	TerminalReason    string          `json:"terminal_reason,omitempty"`
	FastModeState     string          `json:"fast_mode_state,omitempty"`
	Origin            *Origin         `json:"origin,omitempty"`
	UUID              string          `json:"uuid"`
	Errors            []string        `json:"errors,omitempty"`

	// These are of this turn alone; the line carries their sums.
	Cost   float64       `json:"-"`
	Input  int64         `json:"-"`
	Output int64         `json:"-"`
	API    time.Duration `json:"-"`
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

// Complete fills in r and adds it to the sums.
func (s *Server) Complete(t *Turn, r *Result) *Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total.cost += r.Cost
	s.total.api += r.API
	s.total.input += r.Input
	s.total.output += r.Output
	s.failed = r.IsError
	r.Type, r.SessionID, r.UUID = "result", s.Options.SessionID, NewUUID()
	r.DurationAPIMS, r.TotalCostUSD = s.total.api.Milliseconds(), s.total.cost
	r.Usage.Input, r.Usage.Output = r.Input, r.Output
	r.ModelUsage = s.modelUsageLocked()
	if r.PermissionDenials == nil {
		r.PermissionDenials = []Denial{}
	}
	if t != nil {
		r.DurationMS = time.Since(t.begun).Milliseconds()
		if t.Message.Origin != "" {
			r.Origin = &Origin{t.Message.Origin}
		}
	}
	return r
}

// modelUsageLocked is the sums by model, empty before the first token. The
// caller must hold s.mu.
func (s *Server) modelUsageLocked() map[string]any {
	if s.total.input+s.total.output == 0 {
		return map[string]any{}
	}
	return map[string]any{s.model(): map[string]any{
		"inputTokens": s.total.input, "outputTokens": s.total.output, "cacheReadInputTokens": 0,
		"cacheCreationInputTokens": 0, "webSearchRequests": 0, "costUSD": s.total.cost,
	}}
}
