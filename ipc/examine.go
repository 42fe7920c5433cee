package ipc

// Examination is what the daemon finds of the teams without starting an agent.
type Examination struct {
	Teams []TeamCheck `json:"teams"` // by name; the last one may have no name
	Shell LoginShell  `json:"shell"` // where the environment of agents comes from
}

// LoginShell is how the login shell has answered.
type LoginShell struct {
	Path     string   `json:"path,omitempty"`     // empty if the daemon's own environment counts
	Took     int64    `json:"took_ms"`            // how long its last run took
	Problems []string `json:"problems,omitempty"` // each with its cause
}

// TeamCheck is what an agent of a team would find. Unknown values are empty; each
// error is one line.
type TeamCheck struct {
	Team          string   `json:"team"` // empty for a directory that belongs to no team
	Agent         string   `json:"agent"`
	Dir           string   `json:"dir"`
	DirError      string   `json:"dir_error,omitempty"`
	EnvError      string   `json:"env_error,omitempty"`
	Command       string   `json:"command,omitempty"` // from the configuration
	Program       string   `json:"program,omitempty"` // the path that was found
	ProgramError  string   `json:"program_error,omitempty"`
	Version       string   `json:"version,omitempty"`
	Login         string   `json:"login,omitempty"`          // how it is logged in, such as claude.ai or api_key; "none" if it is not
	LoginError    string   `json:"login_error,omitempty"`    // why the login is unknown
	SettingsError string   `json:"settings_error,omitempty"` // a settings or .mcp.json file that does not parse
	Credentials   []string `json:"credentials,omitempty"`    // names of the variables by which it may reach its model
	Withheld      []string `json:"withheld,omitempty"`       // names of such variables of the login shell that it does not get
	KeepError     string   `json:"keep_error,omitempty"`     // why its conversations are not kept
	KeepPath      string   `json:"keep_path,omitempty"`      // the file that is in the way
	Servers       []string `json:"servers,omitempty"`        // MCP servers that its live agent does not reach, each with the reason
}
