package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"iris/config"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// permissionModes are those of Claude Code, which takes any other word in a
// running process for a mode that permits nothing.
var permissionModes = []string{"default", "acceptEdits", "auto", "dontAsk", "plan", claude.BypassMode}

// checkVariant checks what a message asks of its agent.
func (d *Daemon) checkVariant(team string, p *ipc.Send) error {
	t, err := d.team(team)
	if err != nil {
		return teamError(err)
	}
	if err := checkOptionsFor(t, p.Options); err != nil {
		return coded(ipc.CodeUsage, "bad-option", err)
	}
	return nil
}

func checkOptionsFor(t *config.Team, o ipc.Variant) error {
	if o == (ipc.Variant{}) {
		return nil
	}
	bad := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError }
	switch {
	case t.Agent != "claude":
		return fmt.Errorf("team %s has the built-in %s agent: it takes no model, permission_mode, max_turns, append_system_prompt or json_schema", t.Name, t.Agent)
	case len(o.Model) > 256 || strings.HasPrefix(o.Model, "-") || strings.ContainsFunc(o.Model, bad):
		return fmt.Errorf("model is %q: it must be one word of at most 256 bytes", clipped(o.Model))
	case o.PermissionMode != "" && !slices.Contains(permissionModes, o.PermissionMode):
		return fmt.Errorf("permission_mode is %q: it must be one of %s", clipped(o.PermissionMode), strings.Join(permissionModes, ", "))
	case o.PermissionMode == claude.BypassMode && !claude.Bypasses(t.Args):
		return fmt.Errorf("permission_mode is %s, which no message can bring in: nothing in args of team %s allows that", claude.BypassMode, t.Name)
	case o.MaxTurns < 0 || o.MaxTurns > 1e6:
		return fmt.Errorf("max_turns is %d: it must be between 1 and 1000000", o.MaxTurns)
	case !utf8.ValidString(o.AppendSystemPrompt):
		return errors.New("append_system_prompt is not valid UTF-8")
	case len(o.AppendSystemPrompt)+len(o.JSONSchema) > MaxMessage:
		return fmt.Errorf("append_system_prompt and json_schema have more than the %d bytes that are allowed", MaxMessage)
	}
	var schema map[string]json.RawMessage
	if o.JSONSchema != "" && (json.Unmarshal([]byte(o.JSONSchema), &schema) != nil || schema == nil) {
		return errors.New("json_schema is not a JSON object: it must be the schema itself, not the name of a file")
	}
	return nil
}

// clipped shortens what a sender has given, for use in an error.
func clipped(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "..."
	}
	return s
}

// lend returns the model that the next agent of a conversation is to go on with,
// empty where that goes without saying. By itself a conversation goes on with the
// model of its last answer: once a message has had another one, this is on
// record before the agent of that message starts.
func (d *Daemon) lend(k pool.Key, fresh bool, v pool.Variant) (model string, err error) {
	if fresh {
		return "", nil
	}
	s, ok, err := d.journal.Session(record(k))
	switch {
	case err != nil || !ok:
		return "", err
	case v.Model == "" && s.Lent:
		return cmp.Or(s.Model, "default"), nil
	case v.Model != "" && !s.Lent:
		s.Lent = true
		return "", d.journal.SetSession(record(k), s)
	}
	return "", nil
}

// lent notes the model of a conversation whose first message has asked for
// another one: the agent knows it from its settings.
func (d *Daemon) lent(ctx context.Context, k pool.Key, p *claude.Process, v pool.Variant) {
	if v.Model == "" || isFresh(k) {
		return
	}
	s, ok, err := d.journal.Session(record(k))
	if err == nil && ok && s.Model == "" {
		if s.Model, err = p.DefaultModel(ctx); err == nil {
			err = d.journal.SetSession(record(k), s)
		}
	}
	if err != nil {
		d.log.Warn("model of conversation not recorded", "team", k.Team, "session", k.Session, "err", err)
	}
}

// ownModel is the model that answered, unless the message had asked for one. The
// caller holds mu.
func (m *delivery) ownModel() string {
	if m.new.Options.Variant.Value().Model != "" {
		return ""
	}
	return m.end.res.Model
}

// verdict is how the message ended. An answer in words is none to who wants JSON.
func (m *delivery) verdict(res *pool.Result, err error) ended {
	wants := m.new.Options.Variant.Value().JSONSchema != ""
	if wants && err == nil && !res.Structured && (res.Outcome == pool.OutcomeSuccess || res.Outcome == pool.OutcomeDenied) {
		words := *res
		words.Outcome, words.Err = pool.OutcomeFailed, "the agent gave no answer that follows the JSON schema"
		res = &words
	}
	return m.d.verdict(m.key(), m.new.ID, res, err)
}
