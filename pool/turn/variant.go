package turn

// PermissionModes are those of Claude Code: a running process takes any other word
// for a mode that permits nothing. Efforts are its levels: any other word has no
// effect.
var (
	PermissionModes = []string{"default", "acceptEdits", "auto", "dontAsk", "plan", "bypassPermissions"}
	Efforts         = []string{"low", "medium", "high", "xhigh", "max"}
)

// Variant is what a message asks of its agent, beyond the settings of the team. It
// applies to this message alone: the next message of the conversation has its own
// Variant, or none. The zero value is the usual agent.
type Variant struct {
	Model              string  `json:"model,omitempty"`
	PermissionMode     string  `json:"permission_mode,omitempty"` // default, acceptEdits, auto, dontAsk, plan, bypassPermissions
	MaxTurns           int     `json:"max_turns,omitempty"`       // model calls in a turn; 0: the limit of the team
	MaxCost            float64 `json:"max_cost,omitempty"`        // dollars; 0: no limit of its own
	AppendSystemPrompt string  `json:"append_system_prompt,omitempty"`
	JSONSchema         string  `json:"json_schema,omitempty"`   // a JSON Schema, an object as text: the answer is JSON that follows it
	Effort             string  `json:"effort,omitempty"`        // low, medium, high, xhigh, max
	AllowedTools       string  `json:"allowed_tools,omitempty"` // rules, separated by commas or spaces
}

// Value returns the Variant that v points to, and the zero Variant for nil. A message
// holds a pointer, since most have no Variant and many may wait.
func (v *Variant) Value() Variant {
	if v == nil {
		return Variant{}
	}
	return *v
}
