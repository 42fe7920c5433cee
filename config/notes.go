package config

import "fmt"

// Notes returns what the user should know about valid settings; nil if there is
// nothing. A setting in force is no reason to refuse the configuration or to fail a
// check.
func (c *Config) Notes() Problems {
	ps := renamed(&c.Settings, c.origin, false)
	_, told := c.origin.of(newName)
	for _, t := range c.Teams {
		ps = append(ps, renamed(&t.Settings, t.origin, told)...)
	}
	ps.sort(c.Files)
	return ps
}

// Earlier versions of iris had another meaning of max_turns, which has a key of its
// own now.
const oldName, newName = "max_turns", "max_messages_per_agent"

// renamed returns a note if the settings of one place use max_turns and nothing
// says that its meaning of today is meant.
func renamed(s *Settings, set origins, told bool) Problems {
	at, old := set.of(oldName)
	if _, ok := set.of(newName); ok || told || !old || s.MaxTurns == 0 {
		return nil
	}
	return Problems{at.problem(fmt.Errorf("%s = %d limits the model calls of one message now; "+
		"in earlier versions an agent was replaced after that many messages: for that write %s = %d in its place, or else %s = 0 beside it to end this note",
		oldName, s.MaxTurns, newName, s.MaxTurns, newName))}
}
