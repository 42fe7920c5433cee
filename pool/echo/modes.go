package echo

import (
	"slices"
	"strings"
)

// modes are all permission modes.
var modes = []string{"acceptEdits", "auto", "bypassPermissions", "default", "dontAsk", "plan"}

// permissionMode is the mode of the next turn.
func (s *Server) permissionMode() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mode != "":
		return s.mode
	case s.Options.Mode != "":
		return s.Options.Mode
	}
	return "default"
}

// setMode changes the mode, or says why it cannot. The old style accepts any word.
func (s *Server) setMode(mode string) (refusal string) {
	switch {
	case !s.Old && !slices.Contains(modes, mode):
		return "Cannot set permission mode: must be one of " + strings.Join(modes, ", ")
	case mode == "bypassPermissions" && !s.Options.Bypass:
		return "Cannot set permission mode to bypassPermissions because the session was not launched with --dangerously-skip-permissions"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
	return ""
}
