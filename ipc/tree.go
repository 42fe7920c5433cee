package ipc

// ProcessTree lists the live processes that agents have started.
type ProcessTree struct {
	Agents []AgentTree `json:"agents"`
}

// AgentTree is an agent with the processes below it, and the daemons that it started,
// which outlive it. If the agent is gone, only the daemons are left.
type AgentTree struct {
	ID        string        `json:"id"`
	PID       int           `json:"pid"` // 0 when the agent is gone
	Team      string        `json:"team"`
	Session   string        `json:"session"`
	State     string        `json:"state"` // of the agent: starting, idle, busy, stopping, or gone
	Memory    int64         `json:"memory_bytes"`
	Processes []TreeProcess `json:"processes"`
}

// TreeProcess is a process that an agent has started.
type TreeProcess struct {
	PID     int      `json:"pid"`
	Parent  int      `json:"parent"`
	Command []string `json:"command"`
	Memory  int64    `json:"memory_bytes"`
	Daemon  bool     `json:"daemon"` // it has made itself a daemon: only process.kill with Tree ends it
}
