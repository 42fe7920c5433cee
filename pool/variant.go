package pool

import (
	"strings"

	"iris/pool/turn"
)

// cold is the part of v that an agent has from its start. With setsMode the
// permission mode is not in it.
func cold(v turn.Variant, setsMode bool) turn.Variant {
	v.Effort, v.AllowedTools = "", ""
	if setsMode {
		v.PermissionMode = ""
	}
	return v
}

// differs names the flags in which the cold part v differs from that of the live
// agent, without their values.
func differs(v, old turn.Variant) string {
	var with, without []string
	for _, f := range []struct {
		name      string
		set, same bool
	}{
		{"--model", v.Model != "", v.Model == old.Model},
		{"--permission-mode", v.PermissionMode != "", v.PermissionMode == old.PermissionMode},
		{"--max-turns", v.MaxTurns != 0, v.MaxTurns == old.MaxTurns},
		{"--max-cost", v.MaxCost != 0, v.MaxCost == old.MaxCost},
		{"--append-system-prompt", v.AppendSystemPrompt != "", v.AppendSystemPrompt == old.AppendSystemPrompt},
		{"--json-schema", v.JSONSchema != "", v.JSONSchema == old.JSONSchema},
	} {
		switch {
		case f.same:
		case f.set:
			with = append(with, f.name)
		default:
			without = append(without, f.name)
		}
	}
	var parts []string
	if len(with) > 0 {
		parts = append(parts, "with "+strings.Join(with, ", "))
	}
	if len(without) > 0 {
		parts = append(parts, "without "+strings.Join(without, ", "))
	}
	return strings.Join(parts, " and ")
}
