package ipc

// Examination is what the daemon finds of the teams without starting an agent.
type Examination struct {
	Teams []TeamCheck `json:"teams"` // by name; the last one may have no name
	Env   string      `json:"env"`   // where the environment of agents comes from
}

// TeamCheck is what an agent of a team would find. Unknown values are empty; each
// error is one line.
type TeamCheck struct {
	Team         string   `json:"team"` // empty for a directory that belongs to no team
	Agent        string   `json:"agent"`
	Dir          string   `json:"dir"`
	DirError     string   `json:"dir_error,omitempty"`
	EnvError     string   `json:"env_error,omitempty"`
	Command      string   `json:"command,omitempty"` // from the configuration
	Program      string   `json:"program,omitempty"` // the path that was found
	ProgramError string   `json:"program_error,omitempty"`
	Version      string   `json:"version,omitempty"`
	Login        string   `json:"login,omitempty"`       // how it is logged in, such as claude.ai or api_key; "none" if it is not
	LoginError   string   `json:"login_error,omitempty"` // why the login is unknown
	Servers      []string `json:"servers,omitempty"`     // MCP servers that its live agent does not reach, each with the reason
}
