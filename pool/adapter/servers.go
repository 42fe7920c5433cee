package adapter

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// acpServer is an MCP server that a program is to start.
type acpServer struct {
	Name    string        `json:"name"`
	Command string        `json:"command"`
	Args    []string      `json:"args"`
	Env     []acpVariable `json:"env"`
}

type acpVariable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// acpServers returns the MCP servers of Claude Code's flag --mcp-config=JSON. They get by
// which iris knows its agents and its files, since some programs keep their environment from
// their servers.
func acpServers(args []string) ([]acpServer, error) {
	servers := []acpServer{}
	for _, arg := range args {
		text, ok := strings.CutPrefix(arg, "--mcp-config=")
		if !ok {
			continue
		}
		var c struct {
			Servers map[string]acpServer `json:"mcpServers"`
		}
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return nil, fmt.Errorf("--mcp-config is not the JSON of MCP servers: %w", err)
		}
		for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
			s := c.Servers[name]
			s.Name, s.Args, s.Env = name, append([]string{}, s.Args...), ownVariables() // no null
			servers = append(servers, s)
		}
	}
	return servers, nil
}

func ownVariables() []acpVariable {
	vars := []acpVariable{}
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "IRIS_") || strings.HasPrefix(name, "XDG_") {
			vars = append(vars, acpVariable{name, value})
		}
	}
	return vars
}
