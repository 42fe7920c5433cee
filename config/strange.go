package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// StrangeSettings says what files of a directory have Claude Code do there that its
// user may not have asked for: hooks, MCP servers, a permission mode and allowed
// tools. It returns nil if there is nothing of that, or the files cannot be read.
func StrangeSettings(dir string) (found []string) {
	for _, name := range []string{"settings.json", "settings.local.json"} {
		found = append(found, strangeSettings(filepath.Join(dir, ".claude", name), ".claude/"+name)...)
	}
	var mcp struct {
		Servers map[string]json.RawMessage `json:"mcpServers"`
	}
	if readJSON(filepath.Join(dir, ".mcp.json"), &mcp) && len(mcp.Servers) > 0 {
		found = append(found, fmt.Sprintf("MCP servers (%s in .mcp.json)", namesOf(mcp.Servers)))
	}
	return found
}

func strangeSettings(file, name string) (found []string) {
	var s struct {
		Hooks       map[string]json.RawMessage `json:"hooks"`
		Permissions struct {
			Mode  string   `json:"defaultMode"`
			Allow []string `json:"allow"`
		} `json:"permissions"`
	}
	if !readJSON(file, &s) {
		return nil
	}
	if len(s.Hooks) > 0 {
		found = append(found, fmt.Sprintf("hooks (%s in %s)", namesOf(s.Hooks), name))
	}
	if mode := s.Permissions.Mode; mode != "" && mode != "default" && mode != "plan" {
		found = append(found, fmt.Sprintf("permission mode %s (%s)", truncate(mode, 60), name))
	}
	if n := len(s.Permissions.Allow); n > 0 {
		found = append(found, fmt.Sprintf("%d allowed tools (%s)", n, name))
	}
	return found
}

// namesOf lists the members of an object.
func namesOf(object map[string]json.RawMessage) string {
	return truncate(strings.Join(slices.Sorted(maps.Keys(object)), ", "), 60)
}

// readJSON reads a small file of anybody, which must be a regular one.
func readJSON(file string, into any) bool {
	fi, err := os.Stat(file)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() > maxFile {
		return false
	}
	data, err := os.ReadFile(file)
	return err == nil && json.Unmarshal(data, into) == nil
}
