package ipc

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// Variant is what a message asks of the agent that answers it, beyond what its
// team says. It is of this message alone: the next one of the conversation
// has its own, or none. Where it differs from that of the live agent, that is
// replaced first.
type Variant struct {
	Model              string `json:"model,omitempty"`
	PermissionMode     string `json:"permission_mode,omitempty"` // default, acceptEdits, auto, dontAsk, plan, bypassPermissions
	MaxTurns           int    `json:"max_turns,omitempty"`       // model calls
	AppendSystemPrompt string `json:"append_system_prompt,omitempty"`
	JSONSchema         string `json:"json_schema,omitempty"` // an object as JSON text: the answer is JSON that follows it
}

// UnmarshalJSON is as strict about names as Call.Bind: what a message asks for
// is done or refused.
func (v *Variant) UnmarshalJSON(data []byte) error {
	type plain Variant
	if err := fieldsOf(reflect.TypeFor[plain]()).check(data); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	return json.Unmarshal(data, (*plain)(v))
}
