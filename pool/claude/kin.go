package claude

import "strings"

// The variables beside the mark in an agent's environment that say whose it is:
// for people, and for what outlives it. EnvState names the state directory of the
// daemon: another one's agents are none of its business.
const (
	EnvState   = "IRIS_STATE"
	EnvTeam    = "IRIS_TEAM"
	EnvSession = "IRIS_SESSION"
)

// Kin is a process that an agent has started, or that one of those has.
type Kin struct {
	PID     int
	Parent  int
	Command []string // its arguments; the name in brackets when it has none
	Memory  int64    // bytes, its share of what it has in common with others
	Process string   // the pool's id of the agent; empty when it does not carry the mark
	Team    string   // and the conversation; empty likewise
	Session string
	State   string // of the daemon; empty likewise
	Below   int    // the agent that it lives below; 0 for one that has made itself a daemon

	id procID
}

// markOf reads what an environment, as /proc shows it, says of its agent.
func (k *Kin) markOf(environ []byte) {
	for v := range strings.SplitSeq(string(environ), "\x00") {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case mark:
			k.Process = value
		case EnvState:
			k.State = value
		case EnvTeam:
			k.Team = value
		case EnvSession:
			k.Session = value
		}
	}
}
