package agents

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"iris/config"
	"iris/ipc"
	"iris/pool/claude"
	"iris/pool/turn"
)

// MaxMessage is the size of the largest message, in bytes.
const MaxMessage = 10 << 20

// minCost and maxCost bound the cost limit of a message, in dollars.
const (
	minCost = 0.0001
	maxCost = 1e6
)

// maxTools is the size of the longest list of allowed tools.
const maxTools = 16 << 10

// CheckVariant checks the options that a message sets for an agent of a team. The error
// names an option that is wrong or that the team does not allow.
func CheckVariant(t *config.Team, o turn.Variant) error {
	if o == (turn.Variant{}) {
		return nil
	}
	bad := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError }
	switch {
	case t.Agent != "claude":
		return fmt.Errorf("team %s has the agent %s: it takes no model, permission_mode, max_turns, max_cost, append_system_prompt, json_schema, effort or allowed_tools", t.Name, t.Agent)
	case len(o.Model) > 256 || strings.HasPrefix(o.Model, "-") || strings.ContainsFunc(o.Model, bad):
		return fmt.Errorf("model is %q: it must be one word of at most 256 bytes", ipc.Clip(o.Model, 64))
	case o.PermissionMode != "" && !slices.Contains(turn.PermissionModes, o.PermissionMode):
		return fmt.Errorf("permission_mode is %q: it must be one of %s", ipc.Clip(o.PermissionMode, 64), strings.Join(turn.PermissionModes, ", "))
	case o.PermissionMode == claude.BypassMode && !t.MayBypass():
		return fmt.Errorf("permission_mode is %s, which no message can bring in: nothing in args of team %s allows that", claude.BypassMode, t.Name)
	case o.Effort != "" && !slices.Contains(turn.Efforts, o.Effort):
		return fmt.Errorf("effort is %q: it must be one of %s", ipc.Clip(o.Effort, 64), strings.Join(turn.Efforts, ", "))
	case o.MaxTurns < 0 || o.MaxTurns > 1e6:
		return fmt.Errorf("max_turns is %d: it must be between 1 and 1000000", o.MaxTurns)
	case o.MaxCost != 0 && !(o.MaxCost >= minCost && o.MaxCost <= maxCost):
		return fmt.Errorf("max_cost is %v: it must be dollars from %v to %d", o.MaxCost, minCost, int(maxCost))
	case !utf8.ValidString(o.AppendSystemPrompt):
		return errors.New("append_system_prompt is not valid UTF-8")
	case len(o.AppendSystemPrompt)+len(o.JSONSchema) > MaxMessage:
		return fmt.Errorf("append_system_prompt and json_schema have more than the %d bytes that are allowed", MaxMessage)
	}
	if err := checkTools(o.AllowedTools); err != nil {
		return err
	}
	var schema map[string]json.RawMessage
	if o.JSONSchema != "" && (json.Unmarshal([]byte(o.JSONSchema), &schema) != nil || schema == nil) {
		return errors.New("json_schema is not a JSON object: it must be the schema itself, not the name of a file")
	}
	return nil
}

// checkTools checks a list of allowed tools. Claude Code silently ignores a malformed rule.
func checkTools(list string) error {
	rules := claude.ToolRules(list)
	if list != "" && len(rules) == 0 || len(list) > maxTools || !utf8.ValidString(list) {
		return fmt.Errorf("allowed_tools is no list of at most %d bytes with at least one tool", maxTools)
	}
	for _, rule := range rules {
		name, rest, open := strings.Cut(rule, "(")
		bad := strings.ContainsFunc(name, func(r rune) bool {
			return r != '_' && r != '-' && r != '*' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
		})
		if name == "" || name[0] == '*' || bad || open && !strings.HasSuffix(rest, ")") {
			return fmt.Errorf("allowed_tools has %q: a rule is the name of a tool, such as Edit, or with what it is allowed for, such as Bash(git log *)", ipc.Clip(rule, 64))
		}
	}
	return nil
}
