package claude

import (
	"encoding/json"
	"io"
	"strings"
)

// maxKept is how many bytes of the model's texts are kept in memory for a turn. Other
// texts, and texts in lines longer than a chunk, are read again when needed.
const maxKept = 1 << 20

// spoken is a text of the model, or the place of its line in the spool.
type spoken struct {
	Text string
	At   int64
	Len  int64
	Cut  bool // it was cut at the limit of a message: the next text continues it
}

// kept is how many bytes of text are in memory.
func (a *turnNotes) kept() (n int) {
	for _, s := range a.Said {
		n += len(s.Text)
	}
	return n
}

// needs returns the offset of the first text that is only in the spool; false if
// there is none.
func (a *turnNotes) needs() (off int64, some bool) {
	for _, s := range a.Said {
		if s.Text == "" {
			return s.At, true
		}
	}
	return 0, false
}

// said returns the model's texts of the turn, from number from on.
func (a *turnNotes) said(from int) string {
	var b strings.Builder
	cut := true
	for _, s := range a.Said[from:] {
		text := s.Text
		if text == "" {
			text = a.load(s)
		}
		if text == "" {
			continue
		}
		if !cut {
			b.WriteString("\n\n")
		}
		b.WriteString(text)
		cut = s.Cut
	}
	return b.String()
}

// lastAnswer is the last text of the model, with the texts that it continues.
func (a *turnNotes) lastAnswer() string {
	i := max(0, len(a.Said)-1)
	for i > 0 && a.Said[i-1].Cut {
		i--
	}
	return a.said(i)
}

// load reads a text that is not in memory.
func (a *turnNotes) load(s spoken) string {
	if a.spool == nil || s.Len > maxLine {
		return ""
	}
	line := make([]byte, s.Len)
	if _, err := io.ReadFull(io.NewSectionReader(a.spool, s.At, s.Len), line); err != nil {
		return ""
	}
	return textOf(trim(line))
}

// textOf returns the text of an assistant line.
func textOf(line []byte) string {
	var m struct {
		Message struct {
			Content []struct {
				Type string `json:"type"`
				Text string `json:"text"`
			} `json:"content"`
		} `json:"message"`
	}
	if json.Unmarshal(line, &m) != nil {
		return ""
	}
	var b strings.Builder
	for _, c := range m.Message.Content {
		if c.Type == "text" {
			b.WriteString(c.Text)
		}
	}
	return b.String()
}
