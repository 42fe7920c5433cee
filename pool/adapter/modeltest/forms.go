package modeltest

import (
	"encoding/json"
	"slices"
	"strings"
)

// A form is how an API streams an answer.
type form interface {
	begin() []event
	piece(text string) []event
	end() []event
	tool(name, arguments string) []event // the whole answer
}

// event is a server-sent event; data is a text or is written as JSON.
type event struct {
	name string
	data any
}

type object = map[string]any

// shell picks the tool that runs a command, and its arguments.
func shell(tools []string, command string) (name, arguments string) {
	input := object{"command": command, "description": "run it"}
	for _, name = range []string{"bash", "shell_command", "exec_command", "shell", "run_shell_command"} {
		if slices.Contains(tools, name) {
			break
		}
	}
	switch name {
	case "exec_command":
		input = object{"cmd": command, "sandbox_permissions": "require_escalated", "justification": "may I"}
	case "shell":
		input = object{"command": []string{"sh", "-c", command}}
	}
	raw, _ := json.Marshal(input)
	return name, string(raw)
}

// texts is the text of content in either of its forms.
func texts(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var parts []struct{ Text string }
	json.Unmarshal(raw, &parts)
	for _, p := range parts {
		text = p.Text // the last: agents put theirs before it
	}
	return text
}

// Chat Completions.
type chat struct{}

func readChat(body []byte) (q ask) {
	var m struct {
		Messages []struct {
			Role    string
			Content json.RawMessage
		}
		Tools []struct{ Function struct{ Name string } }
	}
	json.Unmarshal(body, &m)
	for _, t := range m.Tools {
		q.tools = append(q.tools, t.Function.Name)
	}
	for _, x := range m.Messages {
		switch x.Role {
		case "user":
			q.says(texts(x.Content))
		case "tool":
			q.said, q.after = strings.TrimSpace(texts(x.Content)), true
		}
	}
	q.side = len(q.tools) == 0
	return q
}

func (chat) chunk(delta object, finish any) object {
	return object{"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "stub", "choices": []object{{"index": 0, "delta": delta, "finish_reason": finish}}}
}

func (c chat) begin() []event { return []event{{"", c.chunk(object{"role": "assistant"}, nil)}} }

func (c chat) piece(text string) []event { return []event{{"", c.chunk(object{"content": text}, nil)}} }

func (c chat) finish(reason string) []event {
	last := c.chunk(object{}, reason)
	last["usage"] = object{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
	return []event{{"", last}, {"", "[DONE]"}}
}

func (c chat) end() []event { return c.finish("stop") }

func (c chat) tool(name, arguments string) []event {
	call := object{"index": 0, "id": "call_1", "type": "function", "function": object{"name": name, "arguments": arguments}}
	return append([]event{{"", c.chunk(object{"role": "assistant", "tool_calls": []object{call}}, nil)}}, c.finish("tool_calls")...)
}

// Responses.
type responses struct{ text string }

func readResponses(body []byte) (q ask) {
	var m struct {
		Input []struct {
			Type, Role string
			Content    json.RawMessage
			Output     json.RawMessage
		}
		Tools []struct{ Name, Type string }
	}
	json.Unmarshal(body, &m)
	for _, t := range m.Tools {
		q.tools = append(q.tools, t.Name)
	}
	for _, x := range m.Input {
		switch {
		case x.Role == "user":
			q.says(texts(x.Content))
		case strings.HasSuffix(x.Type, "_output"):
			q.said, q.after = strings.TrimSpace(texts(x.Output)), true
		}
	}
	return q
}

func (r *responses) begin() []event {
	return []event{
		{"response.created", object{"type": "response.created", "response": object{"id": "r1"}}},
		{"response.output_item.added", object{"type": "response.output_item.added", "output_index": 0, "item": r.item()}},
	}
}

func (r *responses) item() object {
	return object{"type": "message", "role": "assistant", "id": "m1", "content": []object{{"type": "output_text", "text": r.text}}}
}

func (r *responses) piece(text string) []event {
	r.text += text
	return []event{{"response.output_text.delta", object{"type": "response.output_text.delta", "item_id": "m1", "output_index": 0, "content_index": 0, "delta": text}}}
}

func (r *responses) end() []event { return r.done(r.item()) }

func (r *responses) done(item object) []event {
	usage := object{"input_tokens": 10, "input_tokens_details": nil, "output_tokens": 5, "output_tokens_details": nil, "total_tokens": 15}
	return []event{
		{"response.output_item.done", object{"type": "response.output_item.done", "output_index": 0, "item": item}},
		{"response.completed", object{"type": "response.completed", "response": object{"id": "r1", "usage": usage}}},
	}
}

func (r *responses) tool(name, arguments string) []event {
	created := event{"response.created", object{"type": "response.created", "response": object{"id": "r1"}}}
	return append([]event{created}, r.done(object{"type": "function_call", "call_id": "call_1", "name": name, "arguments": arguments})...)
}

// Gemini.
type gemini struct{}

func readGemini(body []byte) (q ask) {
	var m struct {
		Contents []struct {
			Role  string
			Parts []struct {
				Text     string
				Response *struct{ Response json.RawMessage } `json:"functionResponse"`
			}
		}
		Tools []struct {
			Functions []struct{ Name string } `json:"functionDeclarations"`
		}
	}
	json.Unmarshal(body, &m)
	for _, t := range m.Tools {
		for _, f := range t.Functions {
			q.tools = append(q.tools, f.Name)
		}
	}
	for _, c := range m.Contents {
		for _, p := range c.Parts {
			switch {
			case p.Response != nil:
				q.said, q.after = string(p.Response.Response), true
			case c.Role == "user" && p.Text != "":
				q.says(p.Text)
			}
		}
	}
	q.side = len(q.tools) == 0
	return q
}

func (gemini) part(part object, finish string) []event {
	c := object{"content": object{"role": "model", "parts": []object{part}}, "index": 0}
	if finish != "" {
		c["finishReason"] = finish
	}
	return []event{{"", object{"candidates": []object{c}, "usageMetadata": object{"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}}}}
}

func (gemini) begin() []event              { return nil }
func (g gemini) piece(text string) []event { return g.part(object{"text": text}, "") }
func (g gemini) end() []event              { return g.part(object{"text": ""}, "STOP") }

func (g gemini) tool(name, arguments string) []event {
	var args any
	json.Unmarshal([]byte(arguments), &args)
	return g.part(object{"functionCall": object{"name": name, "args": args}}, "STOP")
}
