package transcript

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// A Record is one line of a transcript of Claude Code, with the members that people
// want to see.
type Record struct {
	Type    string          `json:"type"`
	Time    string          `json:"timestamp"`
	Meta    bool            `json:"isMeta"`      // said to the agent by Claude Code itself
	Side    bool            `json:"isSidechain"` // of a subagent
	Content json.RawMessage `json:"content"`     // the text of a line of type system
	Message struct {
		Content json.RawMessage `json:"content"`
	} `json:"message"`

	At time.Time `json:"-"` // zero for none
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

// An Entry is one text of a record. For the call of a tool, Who is the tool; for its
// result, whether it succeeded.
type Entry struct {
	At     time.Time
	Who    string
	Text   string
	Call   string // id of the tool call, also in the entry of its result
	Result bool
}

// You is Who for the user.
const You = "you"

// Parse reads a line. A line that is no record has neither time nor entries.
func Parse(line []byte) (r Record, ok bool) {
	if json.Unmarshal(line, &r) != nil {
		return Record{}, false
	}
	r.At, _ = time.Parse(time.RFC3339, r.Time)
	return r, true
}

// Prompt reports whether a turn may begin with the record.
func (r *Record) Prompt() bool {
	if r.Type == "queue-operation" {
		return true
	}
	blocks, _ := r.blocks()
	return r.Type == "user" && !r.Meta && !r.Side && (len(blocks) == 0 || blocks[0].Type != "tool_result")
}

// blocks returns the blocks of a message; a plain text is one block.
func (r *Record) blocks() ([]piece, bool) { return blocksOf(r.Message.Content) }

func blocksOf(content json.RawMessage) (blocks []piece, ok bool) {
	if bytes.HasPrefix(content, []byte(`"`)) {
		blocks = []piece{{Type: "text"}}
		return blocks, json.Unmarshal(content, &blocks[0].Text) == nil
	}
	return blocks, json.Unmarshal(content, &blocks) == nil
}

// Entries returns the texts of the record to show to people.
func (r *Record) Entries() []Entry {
	switch {
	case r.Type == "system":
		var text string
		json.Unmarshal(r.Content, &text)
		text = strings.NewReplacer("<local-command-stdout>", "", "</local-command-stdout>", "").Replace(text)
		if text = strings.TrimSpace(text); text == "" {
			return nil
		}
		return []Entry{{At: r.At, Who: "Claude Code", Text: text}}
	case r.Type != "user" && r.Type != "assistant", r.Meta:
		return nil
	}
	blocks, _ := r.blocks()
	var all []Entry
	for i := range blocks {
		e, ok := r.entry(&blocks[i])
		switch last := len(all) - 1; {
		case !ok:
		case e.Call == "" && last >= 0 && all[last].Call == "":
			all[last].Text += "\n" + e.Text
		default:
			all = append(all, e)
		}
	}
	return all
}

func (r *Record) entry(b *piece) (Entry, bool) {
	e := Entry{At: r.At, Who: r.speaker()}
	switch b.Type {
	case "text":
		e.Text = b.Text
	case "tool_use", "server_tool_use", "mcp_tool_use":
		e.Who, e.Call, e.Text = b.Name, b.ID, asked(b.Input)
	case "tool_result":
		e.Who, e.Call, e.Result, e.Text = "answered", b.Call, true, resultText(b.Content)
		if b.Failed {
			e.Who = "failed"
		}
	case "thinking", "redacted_thinking":
		return e, false
	default: // an image, a document
		e.Text = "[" + b.Type + "]"
	}
	return e, e.Text != "" || e.Call != ""
}

// speaker is the author of the record.
func (r *Record) speaker() string {
	switch {
	case r.Type == "assistant" && r.Side:
		return "subagent"
	case r.Type == "assistant", r.Side:
		return "agent"
	}
	return You
}

// tellingKeys are the most informative keys of a tool's input, the best first.
var tellingKeys = []string{"command", "file_path", "notebook_path", "pattern", "path", "url", "query", "skill", "description", "prompt"}

// asked is the input of a tool, in one line.
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

// resultText is the result of a tool; content that is not text is only named.
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
