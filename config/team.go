package config

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"iris/config/sys"
)

// The agents that may serve a team.
const (
	agentClaude = "claude"
	agentEcho   = "echo"
	agentACP    = "acp"
	agentCodex  = "codex"
)

// Team is a named project directory with all its settings.
type Team struct {
	Name        string // or the directory of a team that is not configured
	Dir         string `toml:"dir"` // absolute and clean, links as written
	Description string `toml:"description"`
	Agent       string `toml:"agent"`   // claude, acp, codex or echo
	Account     string `toml:"account"` // empty if the credentials of the agents decide
	Budget      Budget `toml:"budget"`
	Spare       bool   `toml:"spare"`

	MCP      bool     `toml:"mcp"`
	MCPTeams []string `toml:"mcp_teams"` // nil for those with MCP
	MCPAllow []string `toml:"mcp_allow"` // reset_session

	Settings

	File string // the file that defines it; empty for a built-in or unconfigured team
	Line int

	origin origins // of its own keys; under "" of the team itself
}

// Stamp is a short text that changes with everything that an agent of the team is
// started with, except the contents of the env_file.
func (t *Team) Stamp() string {
	h := fnv.New128a()
	put := func(words ...string) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(words)))
		h.Write(n[:])
		for _, w := range words {
			binary.LittleEndian.PutUint64(n[:], uint64(len(w)))
			h.Write(n[:])
			h.Write([]byte(w))
		}
	}
	put(t.Agent, t.Dir, t.EnvFile, fmt.Sprint(t.MaxTurns), t.Approvals, t.Inbound)
	put(t.Command...)
	put(t.Args...)
	put(t.PassEnv...)
	for _, name := range slices.Sorted(maps.Keys(t.Env)) {
		put(name, t.Env[name])
	}
	if t.MCP { // otherwise it is that of an iris without the key
		put(append([]string{"mcp"}, t.MCPAllow...)...)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// MayWrite reports whether agents of a team may send messages to another, each given by its
// name. Only a team with mcp = true is bound.
func (c *Config) MayWrite(from, to string) bool {
	t := c.Teams[from]
	switch {
	case t == nil || !t.MCP:
		return true
	case t.MCPTeams != nil:
		return slices.Contains(t.MCPTeams, to)
	}
	return c.Teams[to] != nil && c.Teams[to].MCP
}

// Adapter is the adapter between iris and the program of the team, the name of a command
// of "iris agent"; empty if the program needs none.
func (t *Team) Adapter() string {
	if t.Agent == agentACP || t.Agent == agentCodex {
		return t.Agent
	}
	return ""
}

// CheckDir says why no agent can work in the team's directory. The error wraps
// fs.ErrNotExist or fs.ErrPermission if that is the cause.
func (t *Team) CheckDir() error {
	fi, err := os.Stat(t.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("directory %s does not exist%s%w", t.Dir, deadLink(t.Dir), sys.Silent(fs.ErrNotExist))
	case err != nil:
		return fmt.Errorf("directory %s cannot be read: %w", t.Dir, sys.Cause(err))
	case !fi.IsDir():
		return fmt.Errorf("directory %s is a file", t.Dir)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, t.Dir, unix.R_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("directory %s cannot be read: %w", t.Dir, err)
	}
	return nil
}

// deadLink says which symbolic link in the path of a missing directory leads nowhere.
func deadLink(dir string) string {
	for at := dir; at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil {
			return ""
		}
		if target, err := os.Readlink(at); err == nil {
			return fmt.Sprintf(": %s is a link to %s, which is gone", at, target)
		}
	}
	return ""
}
