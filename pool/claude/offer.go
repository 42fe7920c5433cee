package claude

import (
	"encoding/json"
	"slices"
)

// An offer is one of the permissions that an agent offers to have from now on when it
// asks for a tool (permission_suggestions).
type offer struct {
	Type        string      `json:"type"`
	Rules       []offerRule `json:"rules,omitempty"`
	Behavior    string      `json:"behavior,omitempty"`
	Directories []string    `json:"directories,omitempty"`
	Mode        string      `json:"mode,omitempty"`
	Destination string      `json:"destination"`
}

type offerRule struct {
	Tool    string `json:"toolName"`
	Content string `json:"ruleContent,omitempty"`
}

// allows returns what the offer allows, in words: rules as in --allowed-tools,
// directories and a permission mode. It returns nothing for an offer of an unknown
// kind, and for the mode without permission checks, which only the team may give.
func (o *offer) allows() (words []string) {
	switch {
	case o.Type == "addRules" && o.Behavior == "allow":
		for _, r := range o.Rules {
			word := r.Tool
			if r.Content != "" {
				word += "(" + r.Content + ")"
			}
			words = append(words, word)
		}
	case o.Type == "addDirectories":
		for _, dir := range o.Directories {
			words = append(words, "directory "+dir)
		}
	case o.Type == "setMode" && o.Mode != "" && o.Mode != "bypassPermissions":
		words = append(words, "permission mode "+o.Mode)
	}
	return words
}

// Offered returns what the agent offers to allow from now on beside the call that it
// asks for, in words; nothing if it offers nothing that AnswerAlways can accept.
func (r *Request) Offered() (words []string) {
	for _, o := range r.offers() {
		words = append(words, o.allows()...)
	}
	return words
}

// offers returns the offers that iris can accept. Each is for the life of the agent
// alone: as they came, some would be written into the user's settings.
func (r *Request) offers() []offer {
	var all []offer
	if json.Unmarshal(r.Offers, &all) != nil {
		return nil
	}
	for i := range all {
		all[i].Destination = "session"
	}
	return slices.DeleteFunc(all, func(o offer) bool { return len(o.allows()) == 0 })
}

// AnswerAlways allows a tool call, and from now on, as long as the agent lives, all
// that the agent offers beside it. It changes no settings of the user. The error is
// that of Answer.
func (p *Process) AnswerAlways(request string) error {
	var accepted []offer
	err := p.answerWith(request, true, func(r Request) []byte {
		accepted = r.offers()
		updates, err := encode(accepted)
		if err != nil {
			panic("bug: offers do not encode: " + err.Error())
		}
		return allowance(r, `,"updatedPermissions":`, string(updates[:len(updates)-1]))
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range accepted {
		if o.Mode != "" {
			p.tuning.Kept = o.Mode
		}
	}
	return nil
}
