package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Check returns what a person should know although it is no reason to refuse
// the configuration: directories, files and programs that are not usable now.
// Nil when all is well. A command that is only a name is no matter of the file:
// agents look for it on a PATH of their own, and "iris doctor" as they do.
func (c *Config) Check() Problems {
	var ps Problems
	add := func(at origin, err error) {
		if err != nil {
			ps = append(ps, at.problem(err))
		}
	}
	if at, ok := c.origin["env_file"]; ok {
		add(at, checkEnvFile(c.EnvFile))
	}
	if at, ok := c.origin["command"]; ok {
		add(at, checkCommand(c.Command))
	}
	if at, ok := c.origin["approval_notify"]; ok {
		add(at, checkNotify(c.ApprovalNotify))
	}
	for _, name := range c.TeamNames() {
		t := c.Teams[name]
		if at, ok := t.origin["approval_notify"]; ok {
			add(at, checkNotify(t.ApprovalNotify))
		}
		if at, ok := t.origin["dir"]; ok {
			add(at, t.CheckDir())
		}
		if at, ok := t.origin["env_file"]; ok {
			add(at, checkEnvFile(t.EnvFile))
		}
		if at, ok := t.origin["command"]; ok && t.Agent == agentClaude {
			add(at, checkCommand(t.Command))
		}
	}
	ps.sort(c.Files)
	return ps
}

// problem places an error where the value is from.
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
		return fmt.Errorf("approval_notify: %w", err)
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
		return fmt.Errorf("command %s: %w", command, plain(err))
	case fi.IsDir() || fi.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("command %s is not executable", command)
	}
	return nil
}
