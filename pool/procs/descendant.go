package procs

import "strings"

// The variables in an agent's environment, and in that of all it starts, that say
// whose they are. EnvProcess is the mark: it attributes a process, it does not condemn
// it; what made itself a daemon carries it too and is left alone. The others are for
// people, and for what outlives the agent. EnvState names the state directory of the
// daemon: another one's agents are none of its business.
const (
	EnvProcess = "IRIS_PROCESS"
	EnvState   = "IRIS_STATE"
	EnvTeam    = "IRIS_TEAM"
	EnvSession = "IRIS_SESSION"
)

// Descendant is a process that an agent has started, or that one of those has started.
type Descendant struct {
	PID      int
	Parent   int
	Command  []string // its arguments; the name in brackets when it has none
	Memory   int64    // bytes, its share of what it has in common with others
	Process  string   // the pool's id of the agent; empty when it does not carry the mark
	Team     string   // and the conversation; empty likewise
	Session  string
	State    string // of the daemon; empty likewise
	AgentPID int    // the agent that it lives below; 0 for one that has made itself a daemon

	id ID
}

// markOf reads what an environment, as /proc shows it, says of its agent.
func (k *Descendant) markOf(environ []byte) {
	for v := range strings.SplitSeq(string(environ), "\x00") {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case EnvProcess:
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
