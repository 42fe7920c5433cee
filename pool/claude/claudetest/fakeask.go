package claudetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"iris/pool/echo"
)

// verdict is what was decided about a tool call.
type verdict struct {
	Behavior string          `json:"behavior"`
	Input    json.RawMessage `json:"updatedInput"`
	Message  string          `json:"message"`
	Always   []grant         `json:"updatedPermissions"`
}

// A grant is a permission from now on. The fake offers one for Bash as a whole, and
// accepts only those for the session.
type grant struct {
	Rules       []grantRule `json:"rules"`
	Destination string      `json:"destination"`
}

type grantRule struct {
	Tool string `json:"toolName"`
}

// unasked are the texts for a tool call that nobody could be asked about, and for one
// whose answer can no longer come.
const (
	unasked   = "This command requires approval"
	closed    = "Tool permission request failed: AbortError: Tool permission stream closed before response received"
	oldClosed = "Tool permission request failed: Error: Tool permission stream closed before response received"
)

// ask wants to use tools that need permission: "ask:NAME:{json}", several with
// blanks between them. All are asked for at once, and answered in their order.
func (f *fake) ask(ctx context.Context, _ *echo.Turn, arg string) echo.Reply {
	type call struct {
		name, id, request string
		input             json.RawMessage
		answer            chan verdict
	}
	var calls []call
	for rest := arg; strings.TrimSpace(rest) != ""; {
		name, in, _ := strings.Cut(strings.TrimSpace(rest), ":")
		d := json.NewDecoder(strings.NewReader(in))
		c := call{name: name, id: "toolu_" + echo.NewUUID(), request: echo.NewUUID()}
		if d.Decode(&c.input) != nil {
			return say("bad ask:NAME:{json}")
		}
		rest = in[d.InputOffset():]
		f.server.Blocks(map[string]any{"type": "tool_use", "id": c.id, "name": name, "input": c.input})
		c.answer = f.request(c.request, c.name, c.id, c.input)
		calls = append(calls, c)
	}
	var said []string
	var denials []echo.Denial
	for _, c := range calls {
		v := f.await(ctx, c.request, c.answer)
		if ctx.Err() != nil {
			return say("")
		}
		words := "allowed: " + string(v.Input)
		if v.Behavior != "allow" {
			words = v.Message
			denials = append(denials, echo.Denial{ToolName: c.name, ToolUseID: c.id, ToolInput: c.input})
		}
		f.server.User(map[string]any{"type": "tool_result", "tool_use_id": c.id, "content": words, "is_error": v.Behavior != "allow"})
		said = append(said, words)
	}
	text := strings.Join(said, "\n")
	r := echo.Success(text)
	r.NumTurns, r.PermissionDenials = 2, denials
	return echo.Reply{Text: text, Result: r}
}

// request asks for permission if somebody can be asked, else it denies the call.
func (f *fake) request(id, name, call string, input json.RawMessage) chan verdict {
	answer := make(chan verdict, 1)
	f.mu.Lock()
	granted := f.granted[name]
	f.mu.Unlock()
	if granted {
		answer <- verdict{Behavior: "allow", Input: input}
		return answer
	}
	if !slices.Contains(f.server.Options.Args, "--permission-prompt-tool=stdio") {
		f.deny(name, call, unasked)
		answer <- verdict{Message: unasked}
		return answer
	}
	f.mu.Lock()
	f.asked[id] = answer
	f.mu.Unlock()
	f.state("requires_action")
	offers := "[]"
	if name == "Bash" {
		offers = `[{"type":"addRules","rules":[{"toolName":"Bash"}],"behavior":"allow","destination":"localSettings"}]`
	}
	line := fmt.Appendf(nil, `{"type":"control_request","request_id":%q,"request":{"subtype":"can_use_tool","tool_name":%q,"display_name":%q,"input":%s,"description":"d","permission_suggestions":%s,"blocked_path":"/elsewhere","tool_use_id":%q}}`+"\n",
		id, name, name, input, offers, call)
	f.server.Raw(line)
	return answer
}

// await waits for the answer, and withdraws the request when the turn is interrupted.
func (f *fake) await(ctx context.Context, id string, answer chan verdict) verdict {
	select {
	case v := <-answer:
		f.state("running")
		return v
	default:
	}
	select {
	case v := <-answer:
		f.state("running")
		return v
	case <-f.over:
		f.state("running")
		if f.flags.old {
			return verdict{Message: oldClosed}
		}
		return verdict{Message: closed}
	case <-ctx.Done():
		f.server.Line(map[string]string{"type": "control_cancel_request", "request_id": id})
		f.state("running")
		return verdict{}
	}
}

func (f *fake) state(word string) {
	if f.server.States {
		f.server.System("session_state_changed", map[string]any{"state": word})
	}
}

// answered handles an answer to a request; an answer that nobody waits for is
// ignored.
func (f *fake) answered(line []byte) {
	var m struct {
		Response struct {
			ID       string  `json:"request_id"`
			Response verdict `json:"response"`
		} `json:"response"`
	}
	if json.Unmarshal(line, &m) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if answer := f.asked[m.Response.ID]; answer != nil {
		delete(f.asked, m.Response.ID)
		for _, g := range m.Response.Response.Always {
			for _, r := range g.Rules {
				f.granted[r.Tool] = g.Destination == "session"
			}
		}
		answer <- m.Response.Response
	}
}

// deny reports at once that a tool call was denied, as the new style does.
func (f *fake) deny(tool, call, why string) {
	if !f.flags.old {
		f.server.System("permission_denied", map[string]any{"tool_name": tool, "tool_use_id": call, "message": why})
	}
}
