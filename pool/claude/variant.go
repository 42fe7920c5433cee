package claude

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// BypassMode is the permission mode in which the agent asks for nothing.
const BypassMode = "bypassPermissions"

// variantArgs returns the team's arguments, followed by those of the variant, which
// override them. Text that a person has written is not among them, since everybody
// can read a command line; nor are values that can be set for one turn.
func (o *Options) variantArgs() []string {
	v := &o.Variant
	args := slices.Clone(o.Args)
	if v.Model != "" {
		args = append(args, "--model="+v.Model)
	}
	if v.MaxTurns > 0 {
		args = append(args, "--max-turns="+strconv.Itoa(v.MaxTurns))
	}
	if v.MaxCost > 0 { // counts from the start of the process, which has this turn alone
		args = append(args, "--max-budget-usd="+strconv.FormatFloat(v.MaxCost, 'f', -1, 64))
	}
	return args
}

// conversationModel makes a resumed conversation use its own model. The team's
// arguments and the environment override it.
func (o *Options) conversationModel() []string {
	if o.Model == "" || !o.resume || o.Variant.Model != "" || lookup(o.Env, "ANTHROPIC_MODEL") != "" {
		return nil
	}
	return []string{"--model=" + o.Model}
}

// initialize is the request that is answered when the agent is ready. It has the rest
// of the variant. Without its first member the conversation would keep the system
// prompt of its first process for all later ones.
func (o *Options) initialize() map[string]any {
	request := bare("initialize")
	if !slices.ContainsFunc(o.Args, func(arg string) bool { return strings.HasPrefix(arg, "--system-prompt-snapshot") }) {
		request["systemPromptSnapshot"] = false
	}
	if o.Variant.AppendSystemPrompt != "" {
		request["appendSystemPrompt"] = o.Variant.AppendSystemPrompt
	}
	if o.Variant.JSONSchema != "" {
		request["jsonSchema"] = json.RawMessage(o.Variant.JSONSchema)
	}
	return request
}

// DefaultModel is the model in the agent's settings, or the word for the program's
// own choice.
func (p *Process) DefaultModel(ctx context.Context) (string, error) {
	s, err := p.settings(ctx)
	if err != nil {
		return "", err
	}
	return cmp.Or(strings.TrimSpace(s.Effective.Model), "default"), nil
}

// settings has what the agent says of its settings.
type settings struct {
	Errors []struct {
		File    string `json:"file"`
		Path    string `json:"path"` // of the field
		Message string `json:"message"`
	} `json:"errors"`
	Effective struct {
		Model string `json:"model"`
	} `json:"effective"`
	Applied struct {
		Effort string `json:"effort"`
	} `json:"applied"`
}

// settings asks the agent for its settings.
func (p *Process) settings(ctx context.Context) (s settings, err error) {
	r, err := p.call(ctx, "get_settings")
	if err == nil {
		decode(r.Body, &s)
	}
	return s, err
}
