package config

import (
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Config is a valid configuration. Once loaded, neither it nor anything that it
// points to changes.
type Config struct {
	MaxProcesses        int           `toml:"max_processes"`
	WhenFull            string        `toml:"when_full"` // wait, fail or evict
	FairWait            time.Duration `toml:"fair_wait"`
	HealthCheckInterval time.Duration `toml:"health_check_interval"`
	StopGrace           time.Duration `toml:"stop_grace"`
	DrainTimeout        time.Duration `toml:"drain_timeout"` // 0: do not wait
	LeaveTurns          bool          `toml:"leave_turns"`
	OrphanTimeout       time.Duration `toml:"orphan_timeout"`
	OrphanGrace         time.Duration `toml:"orphan_grace"`
	Retention           time.Duration `toml:"retention"`
	MaxMemoryTotal      Share         `toml:"max_memory_total"`
	Budget              Budget        `toml:"budget"`           // of all teams together
	MCPMaxDepth         int           `toml:"mcp_max_depth"`    // 0 for no limit
	MCPMaxMessages      int           `toml:"mcp_max_messages"` // of one turn, 0 for no limit
	Umask               fs.FileMode   `toml:"umask"`
	LogLevel            string        `toml:"log_level"`    // debug, info, warn or error
	LogMaxSize          int64         `toml:"log_max_size"` // bytes
	LogMaxFiles         int           `toml:"log_max_files"`

	Settings // defaults for all teams

	Teams map[string]*Team
	Files []string // the files that were read, in that order

	paths  Paths
	origin origins // a default has none
}

// Settings are the keys that may stand at the top level and in a team.
type Settings struct {
	Command      []string          `toml:"command"` // a name for PATH or an absolute file, and its arguments
	Args         []string          `toml:"args"`
	Env          map[string]string `toml:"env"`
	PassEnv      []string          `toml:"pass_env"`
	EnvFile      string            `toml:"env_file"`     // absolute, empty for none
	IdleTimeout  time.Duration     `toml:"idle_timeout"` // 0 for never
	FreezeAfter  time.Duration     `toml:"freeze_after"` // 0 for never
	StartTimeout time.Duration     `toml:"start_timeout"`
	StallTimeout time.Duration     `toml:"stall_timeout"` // 0 for never
	OnStall      string            `toml:"on_stall"`      // report or interrupt
	QueueLimit   int               `toml:"queue_limit"`   // messages
	MaxTurns     int               `toml:"max_turns"`     // model calls for one message, 0 for no limit
	MaxMemory    int64             `toml:"max_memory"`    // bytes, 0 for no limit
	DeniedOK     bool              `toml:"denied_ok"`

	MaxMessagesPerAgent int `toml:"max_messages_per_agent"` // 0 for no limit

	BackgroundWait  bool          `toml:"background_wait"`
	Approvals       string        `toml:"approvals"`        // deny or ask
	ApprovalTimeout time.Duration `toml:"approval_timeout"` // 0 for never
	Notify          []string      `toml:"notify"`           // a program, absolute or a name for PATH, and its arguments; empty for none
	NotifyOn        []string      `toml:"notify_on"`        // approval, failed, unknown, limited, budget, done

	OnResumeFailure string  `toml:"on_resume_failure"` // stop or fresh
	OnLimit         string  `toml:"on_limit"`          // wait or fail
	OnBudget        string  `toml:"on_budget"`         // wait or fail
	SpareBelow      float64 `toml:"spare_below"`       // from 0 to 1
	Inbound         string  `toml:"inbound"`           // refuse or accept
}

// Program is the program of agents, without its arguments.
func (s *Settings) Program() string {
	if len(s.Command) == 0 {
		return ""
	}
	return s.Command[0]
}

// UnknownTeamError says that no team has that name.
type UnknownTeamError struct {
	Name    string
	Nearest string // the team that was probably meant, or empty
}

func (e *UnknownTeamError) Error() string { return fmt.Sprintf("no team %q", e.Name) }

// Hint says in one line what to do.
func (e *UnknownTeamError) Hint() string {
	if e.Nearest != "" {
		return fmt.Sprintf("did you mean %q? %q lists the teams", e.Nearest, "iris team ls")
	}
	return fmt.Sprintf("%q adds a team, %q lists them", "iris team add NAME DIR", "iris team ls")
}

// Lookup returns the team of that name; for an absolute directory it is ForDir.
// The error for a name is an *UnknownTeamError.
func (c *Config) Lookup(name string) (*Team, error) {
	if filepath.IsAbs(name) {
		return c.ForDir(name)
	}
	if t, ok := c.Teams[name]; ok {
		return t, nil
	}
	return nil, &UnknownTeamError{Name: name, Nearest: nearest(name, c.TeamNames())}
}

// ForDir returns the team whose directory is dir, after resolving the links of both.
// If there is none, it returns a team with the default settings whose name is
// DirName. If there are several, the error names them. The directory need not exist.
func (c *Config) ForDir(dir string) (*Team, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("directory %q is relative; give an absolute one", dir)
	}
	if bad := unprintable(dir); bad != "" {
		return nil, fmt.Errorf("directory %q holds %s, which iris does not accept in names", dir, bad)
	}
	dir = filepath.Clean(dir)
	found := c.TeamsAt(dir)
	switch len(found) {
	case 0:
		return c.adHoc(dir), nil
	case 1:
		return c.Teams[found[0]], nil
	}
	return nil, fmt.Errorf("directory %s belongs to the teams %s; give the name of one", dir, listed(found, "and"))
}

// TeamsAt returns the names of the teams whose directory is dir, which is absolute,
// after resolving the links of both; sorted.
func (c *Config) TeamsAt(dir string) (found []string) {
	var here unix.Stat_t
	err := unix.Stat(dir, &here)
	for name, t := range c.Teams {
		if t.File == "" {
			continue // the built-in team has no directory of its own
		}
		if t.Dir == dir || err == nil && sameDir(t.Dir, &here) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// TeamsAbove returns the names of the teams whose directory is the nearest parent of
// dir that has any; nil if none has.
func (c *Config) TeamsAbove(dir string) []string {
	for up := filepath.Dir(dir); up != dir; dir, up = up, filepath.Dir(up) {
		if found := c.TeamsAt(up); len(found) > 0 {
			return found
		}
	}
	return nil
}

// TeamNames returns the names of all teams, sorted.
func (c *Config) TeamNames() []string {
	return slices.Sorted(maps.Keys(c.Teams))
}

// AddedTeams returns the names of the teams that RemoveTeam can remove, sorted.
func (c *Config) AddedTeams() []string {
	teams := map[string]int{} // number of teams by file
	for _, t := range c.Teams {
		teams[t.File]++
	}
	return slices.DeleteFunc(c.TeamNames(), func(name string) bool {
		file := c.Teams[name].File
		return file != c.paths.dropin(name) || teams[file] > 1
	})
}

func (c *Config) adHoc(dir string) *Team {
	dir = DirName(dir)
	return &Team{Name: dir, Dir: dir, Agent: agentClaude, Settings: c.Settings}
}

// DirName is the name that an absolute directory has in place of a team's: the
// directory without links, so that every path to it is the same name.
func DirName(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil && unprintable(real) == "" {
		return real
	}
	return dir
}

func sameDir(dir string, as *unix.Stat_t) bool {
	var st unix.Stat_t
	return unix.Stat(dir, &st) == nil && st.Dev == as.Dev && st.Ino == as.Ino
}
