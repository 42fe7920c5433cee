package claude

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// skipPermissions overrides any --permission-mode.
const skipPermissions = "--dangerously-skip-permissions"

// BypassMode is the permission mode in which the agent asks for nothing.
const BypassMode = "bypassPermissions"

// Bypasses reports whether a team's arguments let its agents do everything
// without asking, or let them be told so.
func Bypasses(args []string) bool {
	for i, arg := range args {
		switch {
		case arg == skipPermissions, arg == "--allow-dangerously-skip-permissions", arg == "--permission-mode="+BypassMode,
			arg == "--permission-mode" && i+1 < len(args) && args[i+1] == BypassMode:
			return true
		}
	}
	return false
}

// variantArgs are the team's arguments and, behind them so that they count, those
// of the variant. What a person has written into a message is not among them:
// everybody can read a command line.
func (o *Options) variantArgs() []string {
	v := &o.Variant
	args := slices.Clone(o.Args)
	if v.PermissionMode != "" {
		if v.PermissionMode != BypassMode {
			args = slices.DeleteFunc(args, func(arg string) bool { return arg == skipPermissions })
		}
		args = append(args, "--permission-mode="+v.PermissionMode)
	}
	if v.Model != "" {
		args = append(args, "--model="+v.Model)
	}
	if v.MaxTurns > 0 {
		args = append(args, "--max-turns="+strconv.Itoa(v.MaxTurns))
	}
	return args
}

// conversationModel has a resumed conversation go on with its own model. It
// stands before the team's arguments, and the environment comes before it too.
func (o *Options) conversationModel() []string {
	if o.Model == "" || !o.resume || o.Variant.Model != "" || lookup(o.Env, "ANTHROPIC_MODEL") != "" {
		return nil
	}
	return []string{"--model=" + o.Model}
}

// initialize is the request that is answered when the agent is ready. It takes
// the rest of the variant along.
func (o *Options) initialize() map[string]any {
	request := bare("initialize")
	if o.Variant.AppendSystemPrompt != "" {
		request["appendSystemPrompt"] = o.Variant.AppendSystemPrompt
	}
	if o.Variant.JSONSchema != "" {
		request["jsonSchema"] = json.RawMessage(o.Variant.JSONSchema)
	}
	return request
}

// DefaultModel is the model that the agent's settings name, or the word that
// stands for the program's own choice.
func (p *Process) DefaultModel(ctx context.Context) (string, error) {
	r, err := p.call(ctx, "get_settings")
	if err != nil {
		return "", err
	}
	var body struct {
		Effective struct {
			Model string `json:"model"`
		} `json:"effective"`
	}
	decode(r.Body, &body)
	return cmp.Or(strings.TrimSpace(body.Effective.Model), "default"), nil
}
