package turn

// PermissionModes are those of Claude Code, which takes any other word in a running process
// for a mode that permits nothing; Efforts its levels, where another word has no effect.
var (
	PermissionModes = []string{"default", "acceptEdits", "auto", "dontAsk", "plan", "bypassPermissions"}
	Efforts         = []string{"low", "medium", "high", "xhigh", "max"}
)

// Variant is what a message asks of the agent that answers it, beyond what its team
// says. It is of this message alone: the next one of the conversation has its own, or
// none. The empty one is the usual agent.
type Variant struct {
	Model              string `json:"model,omitempty"`
	PermissionMode     string `json:"permission_mode,omitempty"` // default, acceptEdits, auto, dontAsk, plan, bypassPermissions
	MaxTurns           int    `json:"max_turns,omitempty"`       // model calls in a turn; 0 for no limit of its own
	AppendSystemPrompt string `json:"append_system_prompt,omitempty"`
	JSONSchema         string `json:"json_schema,omitempty"`   // an object as JSON text: the answer is JSON that follows it
	Effort             string `json:"effort,omitempty"`        // low, medium, high, xhigh, max
	AllowedTools       string `json:"allowed_tools,omitempty"` // rules, separated by commas or spaces
}

// Value is what v points to, and the zero Variant for nil. Most messages have none,
// and very many may wait.
func (v *Variant) Value() Variant {
	if v == nil {
		return Variant{}
	}
	return *v
}
