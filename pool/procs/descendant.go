package procs

import "strings"

// Variables in the environment of an agent and of all its descendants, which say
// whose they are. EnvProcess is the mark: it attributes a process to an agent, but
// does not condemn it; a process that made itself a daemon has the mark too and is
// left alone. The other variables are for people, and for processes that outlive the
// agent. EnvState names the state directory of the daemon: processes of another
// daemon's agents are left out.
const (
	EnvProcess = "IRIS_PROCESS"
	EnvState   = "IRIS_STATE"
	EnvTeam    = "IRIS_TEAM"
	EnvSession = "IRIS_SESSION"
)

// Descendant is a process that an agent started, directly or through other processes.
type Descendant struct {
	PID      int
	Parent   int
	Command  []string // its arguments; the name in brackets when it has none
	Memory   int64    // bytes, with its share of memory used together with others
	Process  string   // the pool's id of the agent; empty without the mark
	Team     string   // the team and session of the agent; empty without the mark
	Session  string
	State    string // of the daemon; empty without the mark
	AgentPID int    // the agent that it lives below; 0 if it made itself a daemon

	id ID
}

// markOf reads the mark from an environment, in the form of /proc.
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
