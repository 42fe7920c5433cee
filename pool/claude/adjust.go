package claude

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"iris/pool/turn"
)

// Tuning holds the settings that a live agent can be given for one turn, and its own
// values of them. It crosses an exec as a part of Handed.
type Tuning struct {
	Own    string // permission mode at its start, that of its team; empty while unknown
	Kept   string // permission mode that a person has allowed from then on (AnswerAlways); empty for Own
	Mode   string // permission mode now
	Sets   bool   // its answer to initialize named the mode: it checks the modes that it is given
	Lent   bool   // a message has set the mode
	Effort string // effort set by a message; empty for its own
	Usual  string // effort before that; empty for the default of its model
	Tools  string // tools allowed by a message, as the message lists them
}

// SetsMode reports whether this process can take the permission mode of a message and
// go back to its own. A program that does not name its mode when it starts cannot go
// back before its first turn.
func (p *Process) SetsMode() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tuning.Sets
}

// Mode is the agent's current permission mode, in its own words; empty while unknown.
func (p *Process) Mode() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tuning.Mode
}

// OddMode is the agent's permission mode if it differs from that of its team: a
// message set it, a person has allowed it (AnswerAlways), or the agent changed it in
// the running turn.
func (p *Process) OddMode() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := &p.tuning; t.Own != "" && t.Own != t.Mode || t.Own == "" && t.Lent {
		return t.Mode
	}
	return ""
}

// introduced records the mode in the answer to initialize. A program that lists its
// abilities has an inbox for other sessions, which is closed now; nobody waits for
// the answer to that, since the agent handles requests in order.
func (p *Process) introduced(answer json.RawMessage) error {
	var m struct {
		Mode         string   `json:"current_permission_mode"`
		Capabilities []string `json:"capabilities"`
	}
	decode(answer, &m)
	if m.Mode != "" {
		p.mu.Lock()
		p.tuning.Own, p.tuning.Mode, p.tuning.Sets = m.Mode, m.Mode, true
		p.mu.Unlock()
	}
	if !p.o.RefuseInbound || len(m.Capabilities) == 0 {
		return nil
	}
	_, _, err := p.askFor(flagSettings(map[string]any{"crossSessionInbound": "refuse"}))
	return err
}

// flagSettings is the request that overrides the settings files of the program.
func flagSettings(settings map[string]any) map[string]any {
	return map[string]any{"subtype": "apply_flag_settings", "settings": settings}
}

// modeIs records the mode that a line names. The mode of the first line that begins a
// turn is the team's, unless a message has set one before.
func (p *Process) modeIs(mode string, turnBegins bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if turnBegins {
		p.first.begins()
	}
	if mode == "" {
		return
	}
	p.tuning.Mode = mode
	if turnBegins && p.tuning.Own == "" && !p.tuning.Lent {
		p.tuning.Own = mode
	}
}

// adjust sets what a message asks for, and takes back the settings of the last
// message and any mode that the agent changed to by itself. The agent must be idle,
// or have just ended a turn.
func (p *Process) adjust(ctx context.Context, v turn.Variant) error {
	if err := p.setMode(ctx, v.PermissionMode); err != nil {
		return err
	}
	return p.applySettings(ctx, v.Effort, v.AllowedTools)
}

// takeBack restores the team's settings after a turn, so that they apply to the
// agent's own work until the next turn. A change that fails now is made before the
// next message.
func (p *Process) takeBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.o.Grace)
	defer cancel()
	if err := p.adjust(ctx, turn.Variant{}); err != nil && !p.stopping.Load() && !p.isDone() {
		p.log.Warn("the agent still has what the last message asked for", "err", err)
	}
}

// setMode sets the permission mode of a message; an empty one means the team's, or the
// one that a person has allowed since.
func (p *Process) setMode(ctx context.Context, wanted string) error {
	p.mu.Lock()
	mode := cmp.Or(wanted, p.tuning.Kept, p.tuning.Own)
	same := mode == "" || mode == p.tuning.Mode
	if !same && wanted != "" {
		p.tuning.Lent = true
	}
	p.mu.Unlock()
	if same {
		return nil
	}
	if _, err := p.request(ctx, map[string]any{"subtype": "set_permission_mode", "mode": mode}); err != nil {
		return fmt.Errorf("permission mode %s: %w", mode, err)
	}
	p.modeIs(mode, false)
	return nil
}

// applySettings sets the effort and the allowed tools of a message; empty values mean
// the team's. An empty list of tools takes back only the tools that this list
// allowed. No value restores the team's effort, so the agent is asked for it before
// the first change.
func (p *Process) applySettings(ctx context.Context, effort, tools string) error {
	p.mu.Lock()
	now := p.tuning
	p.mu.Unlock()
	settings := map[string]any{}
	if effort != now.Effort {
		if now.Effort == "" {
			usual, err := p.usualEffort(ctx)
			if err != nil {
				return err
			}
			now.Usual = usual
		}
		settings["effortLevel"] = level(cmp.Or(effort, now.Usual))
	}
	if tools != now.Tools {
		settings["permissions"] = map[string]any{"allow": ToolRules(tools)}
	}
	if len(settings) == 0 {
		return nil
	}
	if _, err := p.request(ctx, flagSettings(settings)); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tuning.Effort, p.tuning.Usual, p.tuning.Tools = effort, now.Usual, tools
	return nil
}

// level is an effort in the form of the agent's settings: null is the default of the
// model.
func level(effort string) any {
	if effort == "" {
		return nil
	}
	return effort
}

// usualEffort asks the agent for its effort.
func (p *Process) usualEffort(ctx context.Context) (string, error) {
	s, err := p.settings(ctx)
	return s.Applied.Effort, err
}

// ToolRules splits a list of rules as the program's --allowed-tools does: at commas
// and spaces outside parentheses.
func ToolRules(list string) []string {
	rules := []string{}
	depth, begin := 0, 0
	for i, c := range list + "," {
		switch c {
		case '(':
			depth++
		case ')':
			depth = max(0, depth-1)
		case ',', ' ', '\t', '\n':
			if depth > 0 && i < len(list) {
				continue
			}
			if i > begin {
				rules = append(rules, list[begin:i])
			}
			begin = i + 1
		}
	}
	return rules
}
