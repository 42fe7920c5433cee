package claude

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"iris/pool/turn"
)

// Tuning is what a live agent can be told to have for one turn, and what it has by
// itself. It crosses an exec as a part of Handed.
type Tuning struct {
	Own    string // permission mode at its start, which is the team's; empty while nobody has said
	Mode   string // permission mode now
	Sets   bool   // its answer to initialize named the mode: it checks a mode that it is given
	Lent   bool   // a message has given it a mode
	Effort string // that a message has given it; empty for its own
	Usual  string // effort that it had before; empty for the default of its model
	Tools  string // that a message has allowed, as the message lists them
}

// SetsMode reports whether the permission mode of a message can be set in this
// process and taken back. A program that does not name its mode when it starts
// cannot be given it back before its first turn.
func (p *Process) SetsMode() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tuning.Sets
}

// Mode is the agent's permission mode now, in its own words; empty before it has
// said.
func (p *Process) Mode() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tuning.Mode
}

// OddMode is the agent's permission mode when that is not the one of its team: a
// message has asked for it, or the agent has gone into it in the turn under way.
func (p *Process) OddMode() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := &p.tuning; t.Own != "" && t.Own != t.Mode || t.Own == "" && t.Lent {
		return t.Mode
	}
	return ""
}

// introduced notes what the answer to initialize says of the mode. A program that
// lists what it can do has an inbox for other sessions, which is closed now; nobody
// waits for the answer to that, since the agent takes what it is sent in order.
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

// flagSettings is the request that sets what the program's settings have, over all
// files.
func flagSettings(settings map[string]any) map[string]any {
	return map[string]any{"subtype": "apply_flag_settings", "settings": settings}
}

// modeIs notes the mode that a line names. The first that begins a turn is the
// team's, unless a message has set one before.
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

// adjust gives the agent what a message asks for, and takes back what the last one
// has had and what mode the agent has gone into by itself. The agent must be idle,
// or have just ended a turn.
func (p *Process) adjust(ctx context.Context, v turn.Variant) error {
	if err := p.setMode(ctx, v.PermissionMode); err != nil {
		return err
	}
	return p.applySettings(ctx, v.Effort, v.AllowedTools)
}

// takeBack has the agent be the team's again after a turn, so that what it does by
// itself until the next one is done under the rules of the team. A change that
// fails now is made before the next message.
func (p *Process) takeBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.o.Grace)
	defer cancel()
	if err := p.adjust(ctx, turn.Variant{}); err != nil && !p.stopping.Load() && !p.isDone() {
		p.log.Warn("the agent still has what the last message asked for", "err", err)
	}
}

// setMode sets the permission mode that a message wants; an empty one is the team's.
func (p *Process) setMode(ctx context.Context, wanted string) error {
	p.mu.Lock()
	mode := cmp.Or(wanted, p.tuning.Own)
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

// applySettings sets the effort and the allowed tools that a message wants; empty
// ones are the team's. An empty list of tools takes back only what this list has
// allowed. The effort has no such word for what the team has set, so it is asked
// for before the first change.
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

// level is an effort as the agent's settings have it: null is the default of the
// model.
func level(effort string) any {
	if effort == "" {
		return nil
	}
	return effort
}

// usualEffort asks the agent for its effort.
func (p *Process) usualEffort(ctx context.Context) (string, error) {
	r, err := p.call(ctx, "get_settings")
	if err != nil {
		return "", err
	}
	var body struct {
		Applied struct {
			Effort string `json:"effort"`
		} `json:"applied"`
	}
	decode(r.Body, &body)
	return body.Applied.Effort, nil
}

// ToolRules are the rules in a list as the program's --allowed-tools takes it:
// separated by commas or spaces, except in parentheses.
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
