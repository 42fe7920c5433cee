package claudetest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"iris/pool/echo"
)

// apiErrors are the real program's words for a failed model call, and the word
// in the assistant line that goes before the result.
var apiErrors = map[int][2]string{
	400: {"API Error: 400 stub error 400", "unknown"},
	401: {"Failed to authenticate. API Error: 401 stub error 401", "authentication_failed"},
	403: {"Failed to authenticate. API Error: 403 stub error 403", "authentication_failed"},
	404: {"There's an issue with the selected model (claude-fake). It may not exist or you may not have access to it. Run --model to pick a different model.", "model_not_found"},
	413: {"Request too large (max 32MB). Try with a smaller file.", "invalid_request"},
	429: {"API Error: Request rejected (429) · stub error 429", "rate_limit"},
	500: {"API Error: 500 stub error 500. This is a server-side issue, usually temporary — try again in a moment.", "server_error"},
	529: {"API Error: Repeated 529 Overloaded errors", "server_error"},
}

// fail ends the turn in an error: "fail:KIND", where the kind is an HTTP status
// or one of login, timeout, turns, budget, exec, denied, limit, partial,
// open.
func (f *fake) fail(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	switch arg {
	case "login":
		return f.apiFailure(0, "Not logged in · Please run /login", "authentication_failed")
	case "timeout":
		return f.apiFailure(0, "Request timed out", "unknown")
	case "turns":
		r := echo.Failure("Reached maximum number of turns (1)")
		stop := "tool_use"
		r.Subtype, r.TerminalReason, r.StopReason, r.NumTurns, r.FastModeState = "error_max_turns", "max_turns", &stop, 2, "off"
		return echo.Reply{Result: r}
	case "budget":
		r := echo.Failure("Reached maximum budget ($0.01)")
		stop := "end_turn"
		r.Subtype, r.StopReason, r.NumTurns, r.FastModeState = "error_max_budget_usd", &stop, 1, "off"
		return echo.Reply{Result: r}
	case "denied":
		return f.denied()
	case "open":
		r := echo.Success("partial ")
		r.StopReason = nil
		return echo.Reply{Text: "partial ", Result: r}
	case "limit":
		return f.limited(time.Now().Add(2 * time.Hour))
	case "partial":
		return f.partial()
	}
	if words, ok := apiErrors[atoi(arg)]; ok {
		return f.apiFailure(atoi(arg), words[0], words[1])
	}
	return echo.Reply{Result: echo.Failure(strings.TrimSpace("failed on request " + arg))}
}

// apiFailure writes the assistant line of a failed call, which names no model,
// and ends with a result that is an error in spite of its subtype.
func (f *fake) apiFailure(status int, text, word string) echo.Reply {
	fields := map[string]any{"error": word}
	if status != 0 && !f.flags.old {
		fields["api_error_status"] = status
	}
	f.server.Answered(fields, synthetic(text, "stop_sequence"))
	r := apiFailure(status, text)
	switch {
	case status == 413:
		r.TerminalReason = "image_error"
	case !f.flags.old:
		r.TerminalReason = "api_error"
	}
	return echo.Reply{Result: r}
}

// synthetic is a message that no model has written.
func synthetic(text, stop string) map[string]any {
	return map[string]any{
		"id": echo.NewUUID(), "type": "message", "role": "assistant", "model": "<synthetic>",
		"content":     []any{map[string]string{"type": "text", "text": text}},
		"stop_reason": stop, "stop_sequence": "", "context_management": nil,
		"usage": map[string]int{"input_tokens": 0, "output_tokens": 0},
	}
}

// denied answers after a tool call that was not permitted.
func (f *fake) denied() echo.Reply {
	const why = "This command requires approval"
	id := "toolu_" + echo.NewUUID()
	input := json.RawMessage(`{"command":"touch /elsewhere","description":"d"}`)
	f.server.Blocks(map[string]any{"type": "tool_use", "id": id, "name": "Bash", "input": input})
	f.deny("Bash", id, why)
	f.server.User(map[string]any{"type": "tool_result", "tool_use_id": id, "content": why, "is_error": true})
	r := echo.Success("tool said: " + why)
	r.NumTurns = 2
	r.PermissionDenials = []echo.Denial{{ToolName: "Bash", ToolUseID: id, ToolInput: input}}
	return echo.Reply{Text: "tool said: " + why, Result: r}
}

// limit is "limit:FILE:TEXT": while the file is there and the time in it (seconds since
// 1970) has not passed, the limit of a subscription is reached. A file without a time is
// of a limit that names no reset. Otherwise it answers TEXT.
func (f *fake) limit(_ context.Context, t *echo.Turn, arg string) echo.Reply {
	file, text, _ := strings.Cut(arg, ":")
	data, err := os.ReadFile(file)
	resets := time.Unix(int64(atoi(strings.TrimSpace(string(data)))), 0)
	switch {
	case err == nil && len(data) == 0:
		f.ledger.write("L", t.Message.UUID, "0")
		return f.apiFailure(429, apiErrors[429][0], apiErrors[429][1])
	case err == nil && time.Now().Before(resets):
		f.ledger.write("L", t.Message.UUID, strconv.FormatInt(resets.Unix(), 10))
		return f.limited(resets)
	}
	return say(text)
}

// used is "used:PERCENT:TEXT": a subscription has used so much of its five hours, which
// end in two hours. It answers TEXT.
func (f *fake) used(_ context.Context, _ *echo.Turn, arg string) echo.Reply {
	percent, text, _ := strings.Cut(arg, ":")
	f.server.Line(map[string]any{
		"type": "rate_limit_event", "session_id": f.server.SessionID(), "uuid": echo.NewUUID(),
		"rate_limit_info": map[string]any{
			"status": "allowed_warning", "resetsAt": time.Now().Add(2 * time.Hour).Unix(), "rateLimitType": "five_hour",
			"utilization": float64(atoi(percent)) / 100, "isUsingOverage": false,
		},
	})
	return say(text)
}

// limited ends as for a subscription whose limit is reached. The event comes once for
// each reset.
func (f *fake) limited(resets time.Time) echo.Reply {
	f.mu.Lock()
	told := f.limitTold.After(time.Now())
	f.limitTold = resets
	f.mu.Unlock()
	if !told {
		f.server.Line(map[string]any{
			"type": "rate_limit_event", "session_id": f.server.SessionID(), "uuid": echo.NewUUID(),
			"rate_limit_info": map[string]any{
				"status": "rejected", "resetsAt": resets.Unix(), "rateLimitType": "five_hour", "isUsingOverage": false,
			},
		})
	}
	return f.apiFailure(429, "You've hit your session limit · resets "+resets.UTC().Format("3:04pm (MST)"), "rate_limit")
}

// partial ends as when the connection is lost after a part of the answer.
func (f *fake) partial() echo.Reply {
	f.server.Blocks(map[string]string{"type": "text", "text": "partial "})
	return f.apiFailure(0, "API Error: Connection closed mid-response. The response above may be incomplete.", "server_error")
}

// phantomResult is the result of a turn that was none of ours: the real program
// writes one after the resume of a session with an unfinished background task.
func phantomResult() *echo.Result {
	text := ""
	return &echo.Result{Subtype: "success", Result: &text, FastModeState: "off", Origin: &echo.Origin{Kind: "task-notification"}}
}

// phantom writes such a result before the answer.
func (f *fake) phantom(context.Context, *echo.Turn, string) echo.Reply {
	f.server.System("task_notification", map[string]any{
		"task_id": "bfake", "tool_use_id": "toolu_fake", "status": "stopped", "output_file": "", "summary": "no completion record",
	})
	f.server.Result(nil, phantomResult())
	return say("after a phantom")
}

// two writes a second result behind the first.
func (f *fake) two(_ context.Context, t *echo.Turn, _ string) echo.Reply {
	return echo.Reply{Text: "the first of two", After: func() { f.server.Result(t, echo.Success("the second of two")) }}
}

// apiFailure is the result of a turn whose model call failed; its subtype is
// success all the same. Status 0 stands for none.
func apiFailure(status int, text string) *echo.Result {
	r := echo.Success(text)
	stop := "stop_sequence"
	r.IsError, r.StopReason = true, &stop
	if status != 0 {
		r.APIErrorStatus = fmt.Append(nil, status)
	}
	return r
}
