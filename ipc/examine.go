package ipc

// Examination is what is found of the teams without starting an agent.
type Examination struct {
	Teams []TeamCheck `json:"teams"` // by name; the last one may have none
	Env   string      `json:"env"`   // where the environment of agents is from
}

// TeamCheck is what an agent of a team would find. What is not known is empty,
// and what is wrong is one line each.
type TeamCheck struct {
	Team         string   `json:"team"` // empty for any directory that is no team's
	Agent        string   `json:"agent"`
	Dir          string   `json:"dir"`
	DirError     string   `json:"dir_error,omitempty"`
	EnvError     string   `json:"env_error,omitempty"`
	Command      string   `json:"command,omitempty"` // of the configuration
	Program      string   `json:"program,omitempty"` // as it was found
	ProgramError string   `json:"program_error,omitempty"`
	Version      string   `json:"version,omitempty"`
	Login        string   `json:"login,omitempty"`       // how it is logged in, such as claude.ai or api_key; "none" when it is not
	LoginError   string   `json:"login_error,omitempty"` // why that cannot be told
	Servers      []string `json:"servers,omitempty"`     // MCP servers that its live agent does not reach, each with why
}
