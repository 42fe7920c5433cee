package adapter

import (
	"encoding/json"

	"iris/pool/echo"
)

// decision is what becomes of a tool call that needs permission.
type decision int

const (
	withdrawn decision = iota // the turn is over
	allowed
	denied
)

// ask is a tool call that waits for permission.
type ask struct {
	call echo.Denial
	tell func(decision) // tells the program
}

// permission asks iris whether the turn w may use a tool. It does not wait: tell is called
// with the decision, once.
func (a *adapter) permission(w *work, call echo.Denial, title string, tell func(decision)) {
	id := echo.NewUUID()
	a.mu.Lock()
	late := w == nil || a.work != w
	deaf := a.deaf
	if !late && !deaf {
		a.asks[id] = ask{call, tell}
	}
	a.mu.Unlock()
	switch {
	case late:
		tell(withdrawn)
	case deaf:
		w.denied(call)
		tell(denied)
	default:
		a.server.Line(map[string]any{
			"type": "control_request", "request_id": id, "request": map[string]any{
				"subtype": "can_use_tool", "tool_name": call.ToolName, "input": call.ToolInput, "description": title,
				"tool_use_id": call.ToolUseID, "permission_suggestions": []any{},
			},
		})
	}
}

// response handles the answer to a request of the adapter.
func (a *adapter) response(line []byte) {
	var m struct {
		Response struct {
			ID       string `json:"request_id"`
			Response struct{ Behavior string }
		}
	}
	if json.Unmarshal(line, &m) != nil {
		return
	}
	a.mu.Lock()
	q, ok := a.asks[m.Response.ID]
	delete(a.asks, m.Response.ID)
	w := a.work
	a.mu.Unlock()
	switch {
	case !ok:
	case m.Response.Response.Behavior == "allow":
		q.tell(allowed)
	default:
		w.denied(q.call)
		q.tell(denied)
	}
}

// inputOver denies what waits for permission: nobody will decide about it.
func (a *adapter) inputOver() {
	a.mu.Lock()
	a.deaf = true
	w := a.work
	a.mu.Unlock()
	for _, q := range a.takeAsks() {
		w.denied(q.call)
		q.tell(denied)
	}
}

// withdraw ends the wait for all decisions.
func (a *adapter) withdraw() {
	for id, q := range a.takeAsks() {
		a.server.Line(map[string]any{"type": "control_cancel_request", "request_id": id})
		q.tell(withdrawn)
	}
}

func (a *adapter) takeAsks() map[string]ask {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.asks
	a.asks = map[string]ask{}
	return all
}
