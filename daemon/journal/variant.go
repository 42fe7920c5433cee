package journal

import (
	"fmt"

	"iris/pool/turn"
)

// identityOf is a text that differs for different variants. It is on record: every
// version of this program must return the same text for a message with a key.
func identityOf(v turn.Variant) string {
	text := fmt.Sprintf("journal.Variant{Model:%q, PermissionMode:%q, MaxTurns:%d, AppendSystemPrompt:%q, JSONSchema:%q}",
		v.Model, v.PermissionMode, v.MaxTurns, v.AppendSystemPrompt, v.JSONSchema)
	if v.Effort != "" || v.AllowedTools != "" {
		text += fmt.Sprintf(" effort %q, allowed tools %q", v.Effort, v.AllowedTools)
	}
	if v.MaxCost != 0 {
		text += fmt.Sprintf(" max cost %v", v.MaxCost)
	}
	return text
}
