package journal

// Variant is what a sender asked of the agent that answers: the journal keeps it
// and does not act on it, but that two messages which differ in it are two.
type Variant struct {
	Model              string `json:"model,omitempty"`
	PermissionMode     string `json:"permission_mode,omitempty"`
	MaxTurns           int    `json:"max_turns,omitempty"`
	AppendSystemPrompt string `json:"append_system_prompt,omitempty"`
	JSONSchema         string `json:"json_schema,omitempty"`
}

// Value is what v points to, and the zero Variant for nil. Most messages have none,
// and very many may wait.
func (v *Variant) Value() Variant {
	if v == nil {
		return Variant{}
	}
	return *v
}
