package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// A record is one line of a transcript of Claude Code, as far as people want to
// see it.
type record struct {
	Type    string          `json:"type"`
	Time    string          `json:"timestamp"`
	Meta    bool            `json:"isMeta"`      // said to the agent by Claude Code itself
	Side    bool            `json:"isSidechain"` // of an agent that the agent has started
	Content json.RawMessage `json:"content"`     // of what Claude Code says
	Message struct {
		Content json.RawMessage `json:"content"`
	} `json:"message"`

	at time.Time // zero for none
}

// A piece is one block of a message.
type piece struct {
	Type    string          `json:"type"`
	Text    string          `json:"text"`
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Input   json.RawMessage `json:"input"`
	Call    string          `json:"tool_use_id"`
	Content json.RawMessage `json:"content"`
	Failed  bool            `json:"is_error"`
}

// An entry is what one said. For the call of a tool who is the tool, and for
// its result how it went.
type entry struct {
	at     time.Time
	who    string
	text   string
	call   string // id of the call of a tool, or of the one that this is the result of
	result bool
}

const whoYou = "you"

// parseRecord reads a line. One that is no record has neither time nor entries.
func parseRecord(line []byte) (r record, ok bool) {
	if json.Unmarshal(line, &r) != nil {
		return record{}, false
	}
	r.at, _ = time.Parse(time.RFC3339, r.Time)
	return r, true
}

// prompt reports whether a turn may begin with the record.
func (r *record) prompt() bool {
	if r.Type == "queue-operation" {
		return true
	}
	blocks, _ := r.blocks()
	return r.Type == "user" && !r.Meta && !r.Side && (len(blocks) == 0 || blocks[0].Type != "tool_result")
}

// blocks are the pieces of a message; one of plain text is its only block.
func (r *record) blocks() ([]piece, bool) { return blocksOf(r.Message.Content) }

func blocksOf(content json.RawMessage) (blocks []piece, ok bool) {
	if bytes.HasPrefix(content, []byte(`"`)) {
		blocks = []piece{{Type: "text"}}
		return blocks, json.Unmarshal(content, &blocks[0].Text) == nil
	}
	return blocks, json.Unmarshal(content, &blocks) == nil
}

// entries are what the record has for people.
func (r *record) entries() []entry {
	switch {
	case r.Type == "system":
		var text string
		json.Unmarshal(r.Content, &text)
		text = strings.NewReplacer("<local-command-stdout>", "", "</local-command-stdout>", "").Replace(text)
		if text = strings.TrimSpace(text); text == "" {
			return nil
		}
		return []entry{{at: r.at, who: "Claude Code", text: text}}
	case r.Type != "user" && r.Type != "assistant", r.Meta:
		return nil
	}
	blocks, _ := r.blocks()
	var all []entry
	for i := range blocks {
		e, ok := r.entry(&blocks[i])
		switch last := len(all) - 1; {
		case !ok:
		case e.call == "" && last >= 0 && all[last].call == "":
			all[last].text += "\n" + e.text
		default:
			all = append(all, e)
		}
	}
	return all
}

func (r *record) entry(b *piece) (entry, bool) {
	e := entry{at: r.at, who: r.speaker()}
	switch b.Type {
	case "text":
		e.text = b.Text
	case "tool_use", "server_tool_use", "mcp_tool_use":
		e.who, e.call, e.text = b.Name, b.ID, asked(b.Input)
	case "tool_result":
		e.who, e.call, e.result, e.text = "answered", b.Call, true, resultText(b.Content)
		if b.Failed {
			e.who = "failed"
		}
	case "thinking", "redacted_thinking":
		return e, false
	default: // an image, a document
		e.text = "[" + b.Type + "]"
	}
	return e, e.text != "" || e.call != ""
}

// speaker is who says what the record holds.
func (r *record) speaker() string {
	switch {
	case r.Type == "assistant" && r.Side:
		return "subagent"
	case r.Type == "assistant", r.Side:
		return "agent"
	}
	return whoYou
}

// tellingKeys are those of what a tool is asked that say most, the best first.
var tellingKeys = []string{"command", "file_path", "notebook_path", "pattern", "path", "url", "query", "skill", "description", "prompt"}

// asked is what a tool is asked, in one line.
func asked(input json.RawMessage) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(input, &fields) == nil {
		for _, key := range tellingKeys {
			var text string
			if json.Unmarshal(fields[key], &text) == nil && text != "" {
				return strings.Join(strings.Fields(text), " ")
			}
		}
	}
	var b bytes.Buffer
	if json.Compact(&b, input) != nil || b.String() == "{}" {
		return ""
	}
	return b.String()
}

// resultText is what a tool has answered; what is no text is named.
func resultText(content json.RawMessage) string {
	blocks, ok := blocksOf(content)
	if !ok {
		return string(content)
	}
	var parts []string
	for _, b := range blocks {
		switch b.Type {
		case "text":
			parts = append(parts, b.Text)
		default:
			parts = append(parts, "["+b.Type+"]")
		}
	}
	return strings.Join(parts, "\n")
}
