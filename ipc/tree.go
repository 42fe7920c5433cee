package ipc

// ProcessTree is all that agents have started and that still lives.
type ProcessTree struct {
	Agents []AgentTree `json:"agents"`
}

// AgentTree is an agent with the processes below it, and those that it started
// and that have made themselves daemons, which outlive it. Without an agent
// these are all there is.
type AgentTree struct {
	ID        string        `json:"id"`
	PID       int           `json:"pid"` // 0 when the agent is gone
	Team      string        `json:"team"`
	Session   string        `json:"session"`
	State     string        `json:"state"` // of the agent: starting, idle, busy, stopping, or gone
	Memory    int64         `json:"memory_bytes"`
	Processes []TreeProcess `json:"processes"`
}

// TreeProcess is a process that is no agent.
type TreeProcess struct {
	PID     int      `json:"pid"`
	Parent  int      `json:"parent"`
	Command []string `json:"command"`
	Memory  int64    `json:"memory_bytes"`
	Daemon  bool     `json:"daemon"` // it has made itself one: only "kill" with Tree ends it
}
