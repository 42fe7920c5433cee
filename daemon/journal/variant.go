package journal

import (
	"fmt"

	"iris/pool/turn"
)

// identityOf is a text that differs for two variants that differ. It is on record: a
// message that has a key must get the same one from every version of this program.
func identityOf(v turn.Variant) string {
	text := fmt.Sprintf("journal.Variant{Model:%q, PermissionMode:%q, MaxTurns:%d, AppendSystemPrompt:%q, JSONSchema:%q}",
		v.Model, v.PermissionMode, v.MaxTurns, v.AppendSystemPrompt, v.JSONSchema)
	if v.Effort != "" || v.AllowedTools != "" {
		text += fmt.Sprintf(" effort %q, allowed tools %q", v.Effort, v.AllowedTools)
	}
	return text
}
