package adapter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"iris/pool/echo"
)

// codex is the protocol of "codex app-server".
type codex struct {
	a     *adapter
	known bool // the program has answered initialize

	mu   sync.Mutex      // protects the fields below
	turn string          // id of the running turn; empty if there is none or it is not known yet
	over chan *codexTurn // gets the running turn when it is over; nil if there is none
	stop bool            // the turn is to be interrupted as soon as its id is known
}

type codexTurn struct {
	ID     string
	Status string // completed, interrupted, failed, inProgress
	Error  *struct {
		Message string
		Details string          `json:"additionalDetails"`
		Info    json.RawMessage `json:"codexErrorInfo"`
	}
}

func (d *codex) open(ctx context.Context, id string) (string, error) {
	p := d.a.program
	if !d.known {
		_, err := p.call(ctx, "initialize", map[string]any{"clientInfo": map[string]string{"name": "iris", "title": "iris", "version": "1"}})
		if err != nil {
			return "", fmt.Errorf("%s: initialize: %w", p.name, err)
		}
		p.notify("initialized", nil)
		d.known = true
	}
	cwd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	method, params := "thread/start", map[string]any{"cwd": cwd}
	if id != "" {
		method = "thread/resume"
		params["threadId"], params["excludeTurns"] = id, true
	}
	raw, err := p.call(ctx, method, params)
	if refused, ok := errors.AsType[*callError](err); ok && id != "" {
		return "", lostError{fmt.Sprintf("%s %s %s: %v", p.name, method, id, refused)}
	}
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w", p.name, method, err)
	}
	var opened struct {
		Thread struct{ ID string }
		Model  string
	}
	json.Unmarshal(raw, &opened)
	if opened.Thread.ID == "" {
		return "", fmt.Errorf("%s: %s: the answer has no thread", p.name, method)
	}
	d.a.server.Model = cmp.Or(opened.Model, d.a.server.Model)
	return opened.Thread.ID, nil
}

func (d *codex) prompt(w *work, text string) (*echo.Result, error) {
	over := make(chan *codexTurn, 1)
	d.mu.Lock()
	d.turn, d.over, d.stop = "", over, false
	d.mu.Unlock()
	defer d.ended()
	raw, err := d.a.program.call(context.Background(), "turn/start", map[string]any{
		"threadId": d.a.id, "input": []any{map[string]string{"type": "text", "text": text}},
	})
	if err != nil {
		return nil, err
	}
	var begun struct{ Turn codexTurn }
	json.Unmarshal(raw, &begun)
	d.begun(begun.Turn.ID)
	select {
	case t := <-over:
		return t.result(w), nil
	case <-d.a.program.done:
	}
	select {
	case t := <-over:
		return t.result(w), nil
	default:
		return nil, d.a.program.end(nil)
	}
}

// begun notes the id of the running turn, and interrupts the turn if that was asked for.
func (d *codex) begun(id string) {
	d.mu.Lock()
	d.turn = id
	stop := d.stop
	d.mu.Unlock()
	if stop {
		d.interrupt(id)
	}
}

func (d *codex) ended() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turn, d.over = "", nil
}

func (d *codex) cancel() {
	d.mu.Lock()
	id := d.turn
	d.stop = true
	d.mu.Unlock()
	if id != "" {
		d.interrupt(id)
	}
}

// interrupt does not wait for the answer: the turn ends.
func (d *codex) interrupt(id string) {
	d.a.program.request("turn/interrupt", map[string]string{"threadId": d.a.id, "turnId": id})
}

// result is how the turn has ended, nil for a success.
func (t *codexTurn) result(w *work) *echo.Result {
	_, denied, _ := w.state()
	switch {
	case t.Status == "completed", t.Status == "interrupted" && denied:
		return nil
	case t.Status == "interrupted":
		r := failed("interrupted", 0)
		r.TerminalReason = "aborted_by_program"
		return r
	case t.Error == nil:
		return failed("codex: the turn is "+t.Status+" without a reason", 0)
	}
	text := t.Error.Message
	if t.Error.Details != "" {
		text += ": " + t.Error.Details
	}
	status := codexStatus(t.Error.Info)
	return failed("API error: "+text, cmp.Or(status, statusIn(text)))
}

// codexStatuses are the statuses for codex's words about an error.
func codexStatus(info json.RawMessage) int {
	var word string
	if json.Unmarshal(info, &word) == nil {
		switch word {
		case "unauthorized":
			return 401
		case "usageLimitExceeded", "rateLimitExceeded":
			return 429
		case "badRequest", "contextWindowExceeded":
			return 400
		case "modelNotFound":
			return 404
		case "serverOverloaded":
			return 503
		case "internalServerError":
			return 500
		}
		return 0
	}
	var causes map[string]struct {
		Status int `json:"httpStatusCode"`
	}
	json.Unmarshal(info, &causes)
	for _, c := range causes {
		return c.Status
	}
	return 0
}

// codexItem is a part of a turn.
type codexItem struct {
	ID, Type, Text   string
	Command          string
	Changes          json.RawMessage
	Server, Tool     string
	Arguments        json.RawMessage
	Query            string
	Status           string
	AggregatedOutput string
	Result, Error    json.RawMessage
}

// call is the tool call that an item is; false if it is none.
func (i *codexItem) call() (c echo.Denial, ok bool) {
	var input any
	switch i.Type {
	case "commandExecution":
		input = map[string]string{"command": i.Command}
	case "fileChange":
		input = map[string]any{"changes": i.Changes}
	case "mcpToolCall":
		return echo.Denial{ToolName: i.Server + "." + i.Tool, ToolUseID: i.ID, ToolInput: i.Arguments}, true
	case "webSearch":
		input = map[string]string{"query": i.Query}
	default:
		return c, false
	}
	raw, _ := json.Marshal(input)
	return echo.Denial{ToolName: i.Type, ToolUseID: i.ID, ToolInput: raw}, true
}

func (d *codex) heard(w *work, method string, params []byte) {
	var m struct {
		Thread string `json:"threadId"`
		Delta  string
		Item   codexItem
		Turn   codexTurn
		Usage  struct {
			Total, Last struct{ InputTokens, OutputTokens int64 }
		} `json:"tokenUsage"`
	}
	if json.Unmarshal(params, &m) != nil || m.Thread != d.a.id {
		return
	}
	switch method {
	case "turn/started":
		d.begun(m.Turn.ID)
	case "item/agentMessage/delta":
		w.text(m.Delta)
	case "item/reasoning/summaryTextDelta", "item/reasoning/textDelta":
		w.thought(m.Delta)
	case "item/started", "item/completed":
		d.item(w, &m.Item, method == "item/completed")
	case "thread/tokenUsage/updated":
		w.spendMore(m.Usage.Last.InputTokens, m.Usage.Last.OutputTokens)
	case "turn/completed":
		d.mu.Lock()
		if d.over != nil && len(d.over) == 0 {
			d.over <- &m.Turn
		}
		d.mu.Unlock()
	}
}

func (d *codex) item(w *work, i *codexItem, ended bool) {
	c, ok := i.call()
	switch {
	case i.Type == "agentMessage" && !ended:
		w.paragraph()
	case ok:
		w.tool(c)
		if ended {
			w.toolEnded(i.ID, cmp.Or(i.AggregatedOutput, string(i.Result), string(i.Error)), i.Status != "completed")
		}
	}
}

func (d *codex) asked(w *work, id []byte, method string, params []byte) {
	var m struct {
		Item    string `json:"itemId"`
		Command string
		Reason  string
	}
	tool := map[string]string{"item/commandExecution/requestApproval": "commandExecution", "item/fileChange/requestApproval": "fileChange"}[method]
	if tool == "" || json.Unmarshal(params, &m) != nil {
		d.a.program.refuse(id, method)
		return
	}
	input := map[string]string{}
	if m.Command != "" {
		input["command"] = m.Command
	}
	if m.Reason != "" {
		input["reason"] = m.Reason
	}
	raw, _ := json.Marshal(input)
	d.a.permission(w, echo.Denial{ToolName: tool, ToolUseID: m.Item, ToolInput: raw}, m.Reason, func(x decision) {
		word := "cancel"
		switch x {
		case allowed:
			word = "accept"
		case denied:
			word = "decline"
		}
		d.a.program.reply(id, map[string]string{"decision": word})
	})
}
