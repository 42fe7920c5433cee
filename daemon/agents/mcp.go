package agents

import (
	"encoding/json"

	"iris/config"
)

// mcpServer is an MCP server in the configuration of Claude Code.
type mcpServer struct {
	Command string   `json:"command"`
	Args    []string `json:"args"`
}

// mcpArgs returns the arguments that give agents of a team the MCP server of iris, and
// Claude Code the permission for its tools: only there a tool is known by its server. There
// are none for a team that does not want it, and for codex. The server finds this daemon by
// IRIS_SOCKET, and after its end starts one of the same configuration.
func (s *Supervisor) mcpArgs(t *config.Team) []string {
	if !t.MCP || t.Agent == "codex" {
		return nil
	}
	args := []string{"mcp"}
	if file := s.o.Paths.Chosen(); file != "" {
		args = []string{"--config", file, "mcp"}
	}
	servers, err := json.Marshal(map[string]any{"mcpServers": map[string]mcpServer{"iris": {s.o.Program, args}}})
	if err != nil {
		panic("bug: the configuration of an MCP server does not encode: " + err.Error())
	}
	flags := []string{"--mcp-config=" + string(servers)}
	if t.Agent == "claude" {
		flags = append(flags, "--allowedTools=mcp__iris")
	}
	return flags
}
