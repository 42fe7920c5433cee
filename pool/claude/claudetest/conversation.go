package claudetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// request is the part of a Messages API request that the stub reads.
type request struct {
	Model     string            `json:"model"`
	MaxTokens int               `json:"max_tokens"`
	Stream    bool              `json:"stream"`
	System    blocks            `json:"system"`
	Messages  []message         `json:"messages"`
	Tools     []json.RawMessage `json:"tools"`
	Output    struct {
		Effort string `json:"effort"`
	} `json:"output_config"`
}

type message struct {
	Role    string `json:"role"`
	Content blocks `json:"content"`
}

// block is one content block of a message.
type block struct {
	Type      string `json:"type"`
	Text      string `json:"text"`
	ToolUseID string `json:"tool_use_id"`
	Content   blocks `json:"content"`
	IsError   bool   `json:"is_error"`
	Source    struct {
		Media string `json:"media_type"`
		Data  []byte `json:"data"`
	} `json:"source"`
}

// blocks is content in either of its forms: a string, or a list of blocks.
type blocks []block

// UnmarshalJSON implements json.Unmarshaler.
func (b *blocks) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		*b = blocks{{Type: "text", Text: text}}
		return nil
	}
	var list []block
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	*b = list
	return nil
}

// text joins the text blocks.
func (b blocks) text() string {
	var parts []string
	for _, x := range b {
		if x.Type == "text" {
			parts = append(parts, x.Text)
		}
	}
	return strings.Join(parts, "\n")
}

// files describes what the user has sent besides text: kind and size of each.
func (r *request) files() []string {
	list := []string{}
	for _, m := range r.Messages {
		for _, b := range m.Content {
			if m.Role == "user" && len(b.Source.Data) > 0 {
				list = append(list, fmt.Sprintf("%s %s %d", b.Type, b.Source.Media, len(b.Source.Data)))
			}
		}
	}
	return list
}

// side reports whether the request is outside the main conversation: a quota probe,
// the making of a title, a count of tokens.
func (r *request) side() bool {
	if r.MaxTokens == 1 || len(r.Messages) == 0 {
		return true
	}
	system := r.System.text()
	return len(r.Tools) == 0 && !strings.Contains(system, "interactive agent") && !strings.Contains(system, "agent working with the user")
}

// userTexts returns what the user wrote, oldest first, one entry a text block.
func (r *request) userTexts() []string {
	texts := []string{}
	for _, m := range r.Messages {
		if m.Role != "user" {
			continue
		}
		for _, b := range m.Content {
			if text, ok := userText(b); ok {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// lastText is the text that decides the answer.
func (r *request) lastText() string {
	texts := r.userTexts()
	if len(texts) == 0 {
		return ""
	}
	return texts[len(texts)-1]
}

// toolResult returns the result of a tool if the request ends with one. Reminders and
// notes of the program itself (role system) may follow it; but if a text of the user
// follows, as after an interrupt, the text decides.
func (r *request) toolResult() (string, bool) {
	for _, m := range slices.Backward(r.Messages) {
		if m.Role == "system" {
			continue
		}
		for _, b := range slices.Backward(m.Content) {
			if b.Type == "tool_result" {
				return b.Content.text(), true
			}
			if _, ok := userText(b); ok {
				return "", false
			}
		}
		return "", false
	}
	return "", false
}

// latest returns the blocks of the user's side since the model's last answer.
func (r *request) latest() blocks {
	var out blocks
	for _, m := range slices.Backward(r.Messages) {
		switch m.Role {
		case "assistant":
			return out
		case "user":
			out = append(slices.Clone(m.Content), out...)
		}
	}
	return out
}

// notified returns the texts of notifications that background work has ended, if the
// request ends with them and the user has written nothing since the last answer.
func (r *request) notified() (words []string) {
	for _, b := range r.latest() {
		if _, ok := userText(b); ok || b.Type == "tool_result" {
			return nil
		}
		if said, ok := notification(b); ok {
			words = append(words, said)
		}
	}
	return words
}

// notification returns the result in a notification, or else its summary. Depending
// on its version, Claude Code puts it in a reminder or leaves it bare.
func notification(b block) (words string, ok bool) {
	const note = "<task-notification>"
	head, rest, ok := strings.Cut(b.Text, note)
	if !ok || head != "" && !strings.HasPrefix(head, "<system-reminder>\n[SYSTEM NOTIFICATION") {
		return "", false
	}
	for _, name := range []string{"result", "summary"} {
		if _, value, ok := strings.Cut(rest, "<"+name+">"); ok {
			value, _, _ = strings.Cut(value, "</"+name+">")
			return value, true
		}
	}
	return "", true
}

// cutOff is Claude Code's request for the rest of an answer that was cut at the limit
// of its tokens.
const cutOff = "Output token limit hit"

// resumes reports whether the request asks for the rest of such an answer.
func (r *request) resumes() bool {
	return slices.ContainsFunc(r.latest(), func(b block) bool {
		return strings.HasPrefix(strings.TrimPrefix(b.Text, "<system-reminder>\n"), cutOff)
	})
}

// results counts the rounds of tool results since the user's last text.
func (r *request) results() (n int) {
	for _, m := range slices.Backward(r.Messages) {
		result := false
		for _, b := range m.Content {
			if _, ok := userText(b); ok && m.Role == "user" {
				return n
			}
			result = result || b.Type == "tool_result"
		}
		if result {
			n++
		}
	}
	return n
}

// context returns everything around the user's texts.
func (r *request) context() string {
	parts := []string{r.System.text()}
	for _, m := range r.Messages {
		for _, b := range m.Content {
			if _, ok := userText(b); m.Role == "system" || m.Role == "user" && b.Type == "text" && !ok {
				parts = append(parts, b.Text)
			}
		}
	}
	return strings.Join(parts, "\n")
}

// picture begins the text that Claude Code puts beside a picture: the path of its
// copy.
const picture = "[Image: source: "

// userText returns the block's text without the reminders that Claude Code
// puts before and after it; false when nothing else is in it, or when Claude
// Code itself wrote it.
func userText(b block) (string, bool) {
	const open, end = "<system-reminder>", "</system-reminder>"
	if _, ok := notification(b); ok || b.Type != "text" || strings.HasPrefix(b.Text, cutOff) || strings.HasPrefix(b.Text, picture) {
		return "", false
	}
	text := b.Text
	for strings.HasPrefix(text, open) {
		i := strings.Index(text, end)
		if i < 0 {
			return "", false
		}
		text = strings.TrimLeft(text[i+len(end):], "\n")
		if text == "" {
			return "", false
		}
	}
	if trimmed := strings.TrimRight(text, "\n"); strings.HasSuffix(trimmed, end) {
		if i := strings.LastIndex(trimmed, "\n"+open); i >= 0 {
			text = strings.TrimRight(trimmed[:i], "\n")
		}
	}
	return text, true
}
