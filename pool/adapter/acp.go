package adapter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"iris/pool/echo"
)

const (
	acpVersion = 1
	acpNoLogin = -32000 // the code of the error of a program without a login
)

// acp is the Agent Client Protocol, version 1.
type acp struct {
	a     *adapter
	known bool // the program has answered initialize
	can   acpAbilities
}

type acpAbilities struct {
	Load    bool `json:"loadSession"`
	Session struct {
		Resume *struct{} `json:"resume"`
	} `json:"sessionCapabilities"`
}

func (d *acp) open(ctx context.Context, id string) (string, error) {
	if err := d.initialize(ctx); err != nil {
		return "", err
	}
	cwd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	servers, err := acpServers(d.a.server.Options.Args)
	if err != nil {
		return "", err
	}
	params := map[string]any{"cwd": cwd, "mcpServers": servers}
	method := "session/new"
	if id != "" {
		params["sessionId"] = id
		switch {
		case d.can.Session.Resume != nil:
			method = "session/resume"
		case d.can.Load:
			method = "session/load"
		default:
			return "", lostError{d.a.program.name + " cannot go on with a conversation"}
		}
	}
	raw, err := d.a.program.call(ctx, method, params)
	if refused, ok := errors.AsType[*callError](err); ok {
		switch {
		case refused.Code == acpNoLogin:
			return "", fmt.Errorf("%s: %w: %s", d.a.program.name, errLoggedOut, refused.Message)
		case id != "":
			return "", lostError{fmt.Sprintf("%s %s %s: %v", d.a.program.name, method, id, refused)}
		}
		err = fmt.Errorf("%s: %s: %w", d.a.program.name, method, refused)
	}
	if err != nil {
		return "", err
	}
	var opened struct {
		ID     string `json:"sessionId"`
		Models struct {
			Current string `json:"currentModelId"`
		} `json:"models"`
		Options []struct{ ID, CurrentValue string } `json:"configOptions"`
	}
	json.Unmarshal(raw, &opened)
	for _, o := range opened.Options {
		if o.ID == "model" {
			d.a.server.Model = o.CurrentValue
		}
	}
	if id = cmp.Or(id, opened.ID); id == "" {
		return "", fmt.Errorf("%s: %s: the answer has no sessionId", d.a.program.name, method)
	}
	d.a.server.Model = cmp.Or(opened.Models.Current, d.a.server.Model)
	return id, nil
}

// initialize agrees on the version of the protocol.
func (d *acp) initialize(ctx context.Context) error {
	if d.known {
		return nil
	}
	raw, err := d.a.program.call(ctx, "initialize", map[string]any{
		"protocolVersion": acpVersion, "clientInfo": map[string]string{"name": "iris", "version": "1"},
		"clientCapabilities": map[string]any{"fs": map[string]bool{"readTextFile": false, "writeTextFile": false}, "terminal": false},
	})
	if err != nil {
		return fmt.Errorf("%s: initialize: %w", d.a.program.name, err)
	}
	var answer struct {
		Version int          `json:"protocolVersion"`
		Can     acpAbilities `json:"agentCapabilities"`
		Agent   struct{ Name, Version string }
	}
	json.Unmarshal(raw, &answer)
	if answer.Version != acpVersion {
		return fmt.Errorf("%s speaks version %d of the Agent Client Protocol, and version %d is needed", d.a.program.name, answer.Version, acpVersion)
	}
	d.known, d.can = true, answer.Can
	d.a.server.Version = cmp.Or(answer.Agent.Version, d.a.server.Version)
	return nil
}

func (d *acp) prompt(w *work, text string) (*echo.Result, error) {
	raw, err := d.a.program.call(context.Background(), "session/prompt", map[string]any{
		"sessionId": d.a.id, "prompt": []any{map[string]string{"type": "text", "text": text}},
	})
	if refused, ok := errors.AsType[*callError](err); ok && refused.Code == acpNoLogin {
		return nil, fmt.Errorf("%s: %w: %s", d.a.program.name, errLoggedOut, refused.Message)
	}
	if err != nil {
		return nil, err
	}
	return d.ended(w, raw), nil
}

// ended is the result of the answer to a prompt, nil for a success.
func (d *acp) ended(w *work, raw []byte) *echo.Result {
	var end struct {
		Reason string `json:"stopReason"`
		Usage  struct {
			Input  int64 `json:"inputTokens"`
			Output int64 `json:"outputTokens"`
		} `json:"usage"`
		Meta struct {
			Quota struct {
				Tokens struct {
					Input  int64 `json:"input_tokens"`
					Output int64 `json:"output_tokens"`
				} `json:"token_count"`
			} `json:"quota"`
		} `json:"_meta"`
	}
	json.Unmarshal(raw, &end)
	w.spend(cmp.Or(end.Usage.Input, end.Meta.Quota.Tokens.Input), cmp.Or(end.Usage.Output, end.Meta.Quota.Tokens.Output))
	said, denied, wrong := w.state()
	switch end.Reason {
	case "end_turn":
		if wrong {
			return failed("API error: "+said, statusIn(said))
		}
	case "cancelled":
		if !denied { // else the program ends a turn whose tool was denied
			r := failed("cancelled", 0)
			r.TerminalReason = "aborted_by_program"
			return r
		}
	case "max_turn_requests":
		r := failed("limit of requests reached", 0)
		r.Subtype = "error_max_turns"
		return r
	case "max_tokens":
		r := echo.Success(said)
		r.StopReason = nil // the answer was cut off
		return r
	case "refusal":
		return failed(cmp.Or(said, "the model refuses to answer"), 0)
	default:
		return failed(fmt.Sprintf("%s: unknown stop reason %q", d.a.program.name, end.Reason), 0)
	}
	return nil
}

func (d *acp) cancel() {
	d.a.program.notify("session/cancel", map[string]string{"sessionId": d.a.id})
}

// acpUpdate is what a program reports about a turn. Its form depends on its kind.
type acpUpdate struct {
	Kind    string          `json:"sessionUpdate"`
	Content json.RawMessage `json:"content"` // of a chunk one block, of a tool call a list

	MessageID string // of a chunk; some programs have none
	Cost      *struct {
		Amount   float64
		Currency string
	}
	Meta struct {
		Codex struct {
			Status struct{ Type string } `json:"threadStatus"`
		}
	} `json:"_meta"`
	acpCall
	Status    string
	RawOutput json.RawMessage
}

type acpCall struct {
	ID    string `json:"toolCallId"`
	Title string
	Kind  string
	Input json.RawMessage `json:"rawInput"`
}

// denial is the call in the words of Claude Code.
func (c *acpCall) denial() echo.Denial {
	return echo.Denial{ToolName: cmp.Or(c.Kind, "tool"), ToolUseID: c.ID, ToolInput: withTitle(c.Input, c.Title)}
}

// withTitle is the input of a tool, or its title where a program tells no input.
func withTitle(input json.RawMessage, title string) json.RawMessage {
	if len(input) > 2 && input[0] == '{' {
		return input
	}
	out, _ := json.Marshal(map[string]string{"title": title})
	return out
}

func (d *acp) heard(w *work, method string, params []byte) {
	var m struct {
		ID     string `json:"sessionId"`
		Update acpUpdate
	}
	if method != "session/update" || json.Unmarshal(params, &m) != nil {
		return
	}
	u := &m.Update
	switch u.Kind {
	case "agent_message_chunk":
		w.chunk(u.MessageID, blockText(u.Content))
	case "agent_thought_chunk":
		w.thought(blockText(u.Content))
	case "tool_call", "tool_call_update":
		d.tool(w, u)
	case "usage_update":
		if u.Cost != nil && u.Cost.Currency == "USD" {
			d.a.total(u.Cost.Amount)
		}
	case "session_info_update":
		if u.Meta.Codex.Status.Type == "systemError" {
			w.fail()
		}
	}
}

func (d *acp) tool(w *work, u *acpUpdate) {
	if u.Status == "pending" { // its input may not be complete
		return
	}
	w.tool(u.denial())
	if u.Status == "completed" || u.Status == "failed" {
		w.toolEnded(u.ID, toolText(u), u.Status == "failed")
	}
}

// toolText is what a tool has returned.
func toolText(u *acpUpdate) string {
	var parts []struct{ Content json.RawMessage }
	text := ""
	if json.Unmarshal(u.Content, &parts) == nil {
		for _, p := range parts {
			text += blockText(p.Content)
		}
	}
	return cmp.Or(text, string(u.RawOutput))
}

// blockText is the text of a block; empty if it is no text.
func blockText(raw json.RawMessage) string {
	var b struct{ Text string }
	json.Unmarshal(raw, &b)
	return b.Text
}

func (d *acp) asked(w *work, id []byte, method string, params []byte) {
	var m struct {
		Call    acpCall `json:"toolCall"`
		Options []struct {
			ID   string `json:"optionId"`
			Kind string
		}
	}
	if method != "session/request_permission" || json.Unmarshal(params, &m) != nil {
		d.a.program.refuse(id, method)
		return
	}
	option := func(kinds ...string) any {
		for _, kind := range kinds {
			for _, o := range m.Options {
				if o.Kind == kind {
					return map[string]string{"outcome": "selected", "optionId": o.ID}
				}
			}
		}
		return map[string]string{"outcome": "cancelled"}
	}
	d.a.permission(w, m.Call.denial(), m.Call.Title, func(x decision) {
		outcome := option()
		switch x {
		case allowed:
			outcome = option("allow_once", "allow_always")
		case denied:
			outcome = option("reject_once", "reject_always")
		}
		d.a.program.reply(id, map[string]any{"outcome": outcome})
	})
}
