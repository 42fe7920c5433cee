package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"iris/config/sys"
)

// Check returns problems that are no reason to refuse the configuration: directories,
// files and programs that are not usable now. It returns nil if there are none. It
// does not look up a command without a path: agents have a PATH of their own, which
// "iris doctor" uses.
func (c *Config) Check() Problems {
	ps := checkSettings(&c.Settings, c.origin, agentClaude)
	for _, t := range c.Teams {
		ps = append(ps, checkSettings(&t.Settings, t.origin, t.Agent)...)
		if at, ok := t.origin.of("mcp_teams"); ok {
			if err := c.checkMCPTeams(t); err != nil {
				ps = append(ps, at.problem(err))
			}
		}
		if at, ok := t.origin.of("dir"); ok {
			if err := t.CheckDir(); err != nil {
				ps = append(ps, at.problem(err))
			}
		}
	}
	ps.sort(c.Files)
	return ps
}

// checkSettings checks the settings of one place.
func checkSettings(s *Settings, set origins, agent string) (ps Problems) {
	check := func(key string, do func() error) {
		at, ok := set.of(key)
		if !ok {
			return
		}
		if err := do(); err != nil {
			ps = append(ps, at.problem(err))
		}
	}
	check("env_file", func() error { return checkEnvFile(s.EnvFile) })
	check("notify", func() error { return checkNotify(s.Notify) })
	if agent != agentEcho {
		check("command", func() error { return checkCommand(s.Program()) })
	}
	return ps
}

// checkMCPTeams says which of the teams that agents of a team may write to are none.
func (c *Config) checkMCPTeams(t *Team) error {
	for _, name := range t.MCPTeams {
		if c.Teams[name] == nil {
			return fmt.Errorf("mcp_teams: %w", &UnknownTeamError{Name: name})
		}
	}
	return nil
}

// problem places an error at the origin of the value.
func (o origin) problem(err error) Problem {
	if o.name != "" {
		return Problem{Msg: o.name + ": " + err.Error()}
	}
	return Problem{File: o.file, Line: o.pos.line, Col: o.pos.col, Msg: err.Error()}
}

func checkEnvFile(file string) error {
	if file == "" {
		return nil
	}
	if _, err := ReadEnvFile(file); err != nil {
		return fmt.Errorf("env_file: %w", err)
	}
	return nil
}

func checkNotify(command []string) error {
	if len(command) == 0 {
		return nil
	}
	if err := checkCommand(command[0]); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

func checkCommand(command string) error {
	if !filepath.IsAbs(command) {
		return nil
	}
	fi, err := os.Stat(command)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("command %s does not exist", command)
	case err != nil:
		return fmt.Errorf("command %s: %w", command, sys.Cause(err))
	case fi.IsDir() || fi.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("command %s is not executable", command)
	}
	return nil
}
