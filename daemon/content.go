package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"iris/ipc"
)

// bodyOf checks what a message says, and returns it as the journal keeps it.
func bodyOf(p *ipc.Send) ([]byte, error) {
	if len(p.Content) == 0 {
		return []byte(p.Text), checkText(p.Text)
	}
	if p.Text != "" {
		return nil, coded(ipc.CodeUsage, "bad-option", errors.New("a message has text or content, not both"))
	}
	var b bytes.Buffer
	if err := json.Compact(&b, p.Content); err != nil {
		return nil, coded(ipc.CodeUsage, "bad-option", fmt.Errorf("content: %w", err))
	}
	if err := checkBlocks(b.Bytes()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// block is one content block of a message, as the Messages API has it.
type block struct {
	Type   string  `json:"type"`
	Text   string  `json:"text"`
	Title  string  `json:"title"`
	Source *source `json:"source"`
}

type source struct {
	Type  string `json:"type"`
	Media string `json:"media_type"`
	Data  []byte `json:"data"`
}

// checkBlocks finds what would end the agent or be refused by the API.
func checkBlocks(content []byte) error {
	bad := func(format string, args ...any) error {
		return coded(ipc.CodeUsage, "bad-option", fmt.Errorf("content: "+format, args...))
	}
	if len(content) > MaxMessage {
		return coded(ipc.CodeUsage, "too-large", fmt.Errorf("the message has %d bytes, more than the %d that are allowed", len(content), MaxMessage))
	}
	var blocks []block
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&blocks); err != nil {
		return bad("it must be a list of blocks: %v", err)
	}
	says := false
	for i, b := range blocks {
		switch {
		case b.Type == "text" && b.Source == nil:
			says = says || strings.TrimSpace(b.Text) != ""
		case (b.Type == "image" || b.Type == "document") && b.Source != nil && b.Source.Type == "base64" &&
			len(b.Source.Data) > 0 && b.Source.Media != "" && b.Text == "":
			says = true
		default:
			return bad("block %d is neither a text nor an image or document with a base64 source", i+1)
		}
	}
	if !says {
		return coded(ipc.CodeUsage, "blank", errors.New("the message is blank"))
	}
	return nil
}
