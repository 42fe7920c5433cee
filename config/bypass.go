package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// bypassMode is the permission mode in which Claude Code never asks.
const bypassMode = "bypassPermissions"

// Bypass returns the argument of the team that turns the permission checks of Claude
// Code off, as it is written there; empty if there is none. iris itself never adds
// one.
func (t *Team) Bypass() string {
	if t.Agent != agentClaude {
		return ""
	}
	for i, arg := range t.Args {
		name, value, joined := strings.Cut(arg, "=")
		if !joined && i+1 < len(t.Args) {
			value = t.Args[i+1]
		}
		switch name {
		case "--dangerously-skip-permissions":
			return name
		case "--permission-mode":
			if value == bypassMode {
				return name + " " + value
			}
		case "--settings":
			if bypassSettings(value) {
				return name + " with " + bypassMode
			}
		}
	}
	return ""
}

// MayBypass reports whether a message may turn an agent's permission checks off:
// Claude Code refuses that unless its arguments allow it.
func (t *Team) MayBypass() bool {
	return t.Bypass() != "" || slices.Contains(t.Args, "--allow-dangerously-skip-permissions")
}

// BypassFound is Bypass, or else the settings file of Claude Code that turns the
// checks off for the team.
func (t *Team) BypassFound() string {
	if found := t.Bypass(); found != "" || t.Agent != agentClaude {
		return found
	}
	files := []string{filepath.Join(t.Dir, ".claude", "settings.local.json"), filepath.Join(t.Dir, ".claude", "settings.json")}
	if dir := t.Env["CLAUDE_CONFIG_DIR"]; dir != "" {
		files = append(files, filepath.Join(dir, "settings.json"))
	} else if home, err := os.UserHomeDir(); err == nil {
		files = append(files, filepath.Join(home, ".claude", "settings.json"))
	}
	if i := slices.IndexFunc(files, bypassSettings); i >= 0 {
		return files[i]
	}
	return ""
}

// bypassSettings reports whether settings, a file or JSON, make bypassMode the
// default. Unreadable settings do not.
func bypassSettings(settings string) bool {
	var s struct {
		Permissions struct {
			Mode string `json:"defaultMode"`
		} `json:"permissions"`
	}
	var read bool
	if strings.HasPrefix(strings.TrimSpace(settings), "{") {
		read = json.Unmarshal([]byte(settings), &s) == nil
	} else {
		read = readJSON(settings, &s)
	}
	return read && s.Permissions.Mode == bypassMode
}
