package pool

import "strings"

// Variant is what a message asks of the agent that answers it, beyond what its
// team says. An agent is started as one variant and stays it; the zero Variant
// is the usual agent. A message gets an agent of its own variant: an idle one of
// another is replaced, and goes on with the conversation.
type Variant struct {
	Model              string
	PermissionMode     string
	MaxTurns           int // model calls in a turn; 0 for no limit of its own
	AppendSystemPrompt string
	JSONSchema         string // the answer is JSON that follows it
}

// Value is what v points to, and the zero Variant for nil. Most messages have none,
// and very many may wait.
func (v *Variant) Value() Variant {
	if v == nil {
		return Variant{}
	}
	return *v
}

// against says in what v differs from the variant that is there, by the names of
// the flags and without what they are set to.
func (v Variant) against(old Variant) string {
	var with, without []string
	for _, f := range []struct {
		name      string
		set, same bool
	}{
		{"--model", v.Model != "", v.Model == old.Model},
		{"--permission-mode", v.PermissionMode != "", v.PermissionMode == old.PermissionMode},
		{"--max-turns", v.MaxTurns != 0, v.MaxTurns == old.MaxTurns},
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
