package agents

import (
	"cmp"

	"iris/config"
	"iris/pool/claude"
)

// account returns the account of a team whose agents get the environment env. Of other
// agents only the configuration says it.
func account(t *config.Team, env *Built) string {
	if t.Account == "" && t.Agent != "claude" {
		return ""
	}
	return cmp.Or(t.Account, claude.Account(t.Dir, env.Assignments(), t.Args))
}

// Account tells the pool which account the agents of a team would have if they started now,
// and returns it; empty for none, or if the environment of the team cannot be read.
func (s *Supervisor) Account(team string) string {
	t, err := s.team(team)
	if err != nil {
		return ""
	}
	env, err := s.Env.Known(t, s.o.Paths.Socket)
	if err != nil {
		return ""
	}
	name := account(t, env)
	s.Pool.SetAccount(team, name)
	return name
}

// KnowAccount has the pool know the account of a team, which it learns when the first agent
// of the team starts, and returns it.
func (s *Supervisor) KnowAccount(team string) string {
	if name, known := s.Pool.Account(team); known {
		return name
	}
	return s.Account(team)
}

// RenewAccounts looks again which accounts the teams have that the pool knows.
func (s *Supervisor) RenewAccounts() {
	for _, team := range s.Pool.AccountTeams() {
		s.Account(team)
	}
}
