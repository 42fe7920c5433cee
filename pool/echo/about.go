package echo

import "os"

// initialized is the answer to initialize.
func (s *Server) initialized() map[string]any {
	none := []string{}
	answer := map[string]any{
		"commands": none, "agents": none, "models": none, "output_style": "default",
		"available_output_styles": []string{"default"},
		"account":                 map[string]string{"tokenSource": "none", "apiProvider": s.Model},
		"pid":                     os.Getpid(),
	}
	if !s.Old {
		state := "idle"
		s.mu.Lock()
		if s.running {
			state = "running"
		}
		s.mu.Unlock()
		answer["capabilities"] = []string{"get_usage_detached_v1"}
		answer["claude_code_version"] = s.Version
		answer["current_permission_mode"] = s.permissionMode()
		answer["session_state"] = state
	}
	return answer
}

// initLine is the line that opens a turn.
func (s *Server) initLine(t *Turn) map[string]any {
	cwd, _ := os.Getwd()
	none := []string{}
	line := map[string]any{
		"type": "system", "subtype": "init", "cwd": cwd, "session_id": s.SessionID(), "uuid": NewUUID(),
		"tools": none, "mcp_servers": none, "slash_commands": none, "agents": none, "skills": none, "plugins": none,
		"model": s.model(), "permissionMode": s.permissionMode(), "apiKeySource": "none", "output_style": "default",
		"claude_code_version": s.Version, "fast_mode_state": "off",
	}
	if s.Old {
		return line
	}
	line["capabilities"] = []string{
		"interrupt_receipt_v1", "interrupt_cancel_queued_v1", "msg_lifecycle_v1", "lifecycle_wakeup_source_v1",
	}
	if list := ids(t.messages); list != nil {
		line["user_message_uuids"] = list
	}
	return line
}
