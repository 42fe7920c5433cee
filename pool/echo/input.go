package echo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const (
	maxLine  = 64 << 20 // bytes of one line of input
	maxQuote = 200      // bytes of a malformed line that an error quotes
)

// input is one input line.
type input struct {
	Type      string
	UUID      string
	RequestID *string `json:"request_id"`
	Message   *struct {
		Role    string
		Content json.RawMessage
	}
	Request *struct {
		Subtype   *string
		Mode      string
		MessageID string `json:"message_uuid"`
	}
}

// read reads lines until the input is over or no more are wanted.
func (s *Server) read() {
	br := bufio.NewReaderSize(s.Stdin, 64<<10)
	for {
		line, err := ReadLine(br, maxLine)
		if errors.Is(err, bufio.ErrTooLong) {
			s.die(fmt.Sprintf("Error parsing streaming input line: longer than %d bytes", maxLine))
			return
		}
		if len(line) > 0 && !s.take(line) {
			return
		}
		if err != nil {
			s.change(func() { s.eof = true })
			return
		}
	}
}

// ReadLine returns the next line without its end. The last line may lack one. The error is
// bufio.ErrTooLong for a line of more than limit bytes.
func ReadLine(br *bufio.Reader, limit int) ([]byte, error) {
	var long []byte
	for {
		part, err := br.ReadSlice('\n')
		if err != bufio.ErrBufferFull && long == nil {
			return bytes.TrimSuffix(part, []byte("\n")), err
		}
		long = append(long, part...)
		if len(long) > limit {
			return nil, bufio.ErrTooLong
		}
		if err != bufio.ErrBufferFull {
			return bytes.TrimSuffix(long, []byte("\n")), err
		}
	}
}

// take handles one line; false means that no more lines are wanted.
func (s *Server) take(line []byte) bool {
	var in input
	if !s.Old && len(bytes.TrimSpace(line)) == 0 {
		return true
	}
	if err := decode(line, &in); err != nil {
		s.die(fmt.Sprintf("Error parsing streaming input line: %s: %v", quote(line), err))
		return false
	}
	switch in.Type {
	case "user":
		return s.user(line, &in)
	case "control_request":
		return s.control(line, &in)
	case "control_response":
		if s.Response != nil {
			s.Response(line)
		}
	}
	return true
}

// decode reads an object. As in the real program, other JSON values except null count
// as objects without a type.
func decode(line []byte, in *input) error {
	trimmed := bytes.TrimSpace(line)
	if len(trimmed) > 0 && trimmed[0] != '{' && json.Valid(trimmed) && !bytes.Equal(trimmed, []byte("null")) {
		return nil
	}
	if err := json.Unmarshal(line, in); err != nil {
		return err
	}
	if bytes.Equal(trimmed, []byte("null")) {
		return errors.New("null is not an object")
	}
	return nil
}

// user queues a message.
func (s *Server) user(line []byte, in *input) bool {
	if in.Message == nil && !s.Old {
		s.die("Error: Expected message role 'user', got 'undefined'")
		return false
	}
	if in.Message == nil {
		s.die(fmt.Sprintf("Error parsing streaming input line: %s: no message", quote(line)))
		return false
	}
	if in.Message.Role != "user" {
		s.die(fmt.Sprintf("Error: Expected message role 'user', got '%s'", in.Message.Role))
		return false
	}
	m := Message{UUID: in.UUID}
	m.Text, m.bad = contentText(in.Message.Content)
	if s.Accept == nil || s.Accept(m) {
		s.Enqueue(m)
	}
	return true
}

// contentText returns the text of content in either of its forms, or why it is
// invalid.
func contentText(content json.RawMessage) (text, bad string) {
	if json.Unmarshal(content, &text) == nil && !bytes.Equal(content, []byte("null")) {
		return text, ""
	}
	var blocks []struct{ Type, Text string }
	if json.Unmarshal(content, &blocks) != nil || blocks == nil {
		return "", "content is neither text nor a list of blocks"
	}
	var parts []string
	for _, b := range blocks {
		if b.Type == "text" {
			parts = append(parts, b.Text)
		}
	}
	return strings.Join(parts, "\n"), ""
}

// control answers a control request.
func (s *Server) control(line []byte, in *input) bool {
	if in.Request == nil && !s.Old {
		s.die("Error: Missing request on control_request")
		return false
	}
	if in.Request == nil {
		s.die(fmt.Sprintf("Error parsing streaming input line: %s: no request", quote(line)))
		return false
	}
	subtype := "undefined"
	if in.Request.Subtype != nil {
		subtype = *in.Request.Subtype
	}
	if s.Control != nil && !s.Control(subtype) {
		return true
	}
	answer := s.respond(subtype, in)
	answer["type"] = "control_response"
	if in.RequestID != nil {
		answer["response"].(map[string]any)["request_id"] = *in.RequestID
	}
	if subtype == "interrupt" {
		s.interruptAndAnswer(answer)
		return true
	}
	s.Line(answer)
	if subtype == "set_permission_mode" {
		s.System("status", map[string]any{"status": nil, "permissionMode": s.permissionMode()})
	}
	if subtype == "end_session" {
		s.End()
		return false
	}
	return true
}

// respond returns the answer to a control request.
func (s *Server) respond(subtype string, in *input) map[string]any {
	response := map[string]any{"subtype": "success"}
	refuse := func(code, why string) {
		response["subtype"], response["error"] = "error", why
		if !s.Old {
			response["error_code"] = code
		}
	}
	switch subtype {
	case "initialize":
		response["response"] = s.initialized()
		if !s.Old {
			response["pending_permission_requests"] = []any{}
		}
	case "get_binary_version":
		response["response"] = map[string]string{"version": s.Version, "buildTime": ""}
	case "set_permission_mode":
		response["response"] = map[string]string{"mode": in.Request.Mode}
		if why := s.setMode(in.Request.Mode); why != "" {
			delete(response, "response")
			refuse("invalid_mode", why)
		}
	case "cancel_async_message":
		body := map[string]any{"cancelled": s.takeBack(in.Request.MessageID)}
		if !s.Old && body["cancelled"] == true {
			body["message_uuid"] = in.Request.MessageID
		}
		response["response"] = body
	case "get_usage":
		response["response"] = map[string]any{"session": map[string]float64{"total_cost_usd": s.Sum().Cost}}
	case "get_settings":
		response["response"] = s.settings()
	case "interrupt", "end_session", "apply_flag_settings":
	case "reload_plugins":
		if s.Reload != nil {
			s.Reload()
			break
		}
		fallthrough
	default:
		refuse("unsupported_request", "Unsupported control request subtype: "+subtype)
	}
	return map[string]any{"response": response}
}

// settings is the answer to get_settings.
func (s *Server) settings() map[string]any {
	all := map[string]any{"effective": map[string]any{}, "applied": map[string]any{"model": s.model(), "effort": nil}}
	if s.Refused != "" {
		all["errors"] = []any{map[string]string{"file": s.Refused, "path": "permissions.deny", "message": "Expected array, but received string"}}
	}
	return all
}

// interruptAndAnswer ends the turn and all subagents and answers the request. The
// answer names the messages that still wait.
func (s *Server) interruptAndAnswer(answer map[string]any) {
	var killed []Task
	s.change(func() {
		killed = s.killAgentsLocked()
		if !s.Old {
			queued := ids(s.queue)
			if queued == nil {
				queued = []string{}
			}
			answer["response"].(map[string]any)["response"] = map[string]any{"still_queued": queued}
		}
		s.Line(answer)
		s.interruptLocked()
		if killed != nil && s.cancel == nil && !s.begins && len(s.queue) == 0 {
			s.stateLocked(false)
		}
	})
	for _, k := range killed {
		s.agentLine(k, "user", "[Request interrupted by user]")
	}
}

// die ends the session at once, without a result for the running turn.
func (s *Server) die(message string) {
	fmt.Fprintln(s.Stderr, message)
	s.change(func() {
		s.fatal = true
		if s.cancel != nil {
			s.cancel(context.Canceled)
		}
	})
}

// quote shortens a line for an error.
func quote(line []byte) []byte {
	if len(line) <= maxQuote {
		return line
	}
	return append(bytes.ToValidUTF8(line[:maxQuote:maxQuote], nil), "..."...)
}
