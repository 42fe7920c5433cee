package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"iris/daemon/agents"
	"iris/daemon/fault"
	"iris/ipc"
)

// bodyOf checks the text or content of a message, and returns it as the journal keeps it.
func bodyOf(p *ipc.Send) ([]byte, error) {
	if len(p.Content) == 0 {
		return []byte(p.Text), checkText(p.Text)
	}
	if p.Text != "" {
		return nil, fault.BadOption("a message has text or content, not both")
	}
	blocks, err := checkBlocks(p.Content)
	if err != nil {
		return nil, err
	}
	body, err := encodeBlocks(blocks)
	if err == nil && len(body) > agents.MaxMessage {
		err = fault.New(ipc.CodeUsage, "too-large", fmt.Errorf("the message has %d bytes, more than the %d that are allowed", len(body), agents.MaxMessage))
	}
	return body, err
}

// encodeBlocks encodes the blocks again, so that the agent reads what was checked. JSON
// parsers differ: Go ignores the case of names, and of two members with one name another
// parser may use the other.
func encodeBlocks(blocks []block) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(blocks)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// block is a content block of a message, in the form of the Messages API.
type block struct {
	Type   string  `json:"type"`
	Text   string  `json:"text,omitempty"`
	Title  string  `json:"title,omitempty"`
	Source *source `json:"source,omitempty"`
}

type source struct {
	Type  string `json:"type"`
	Media string `json:"media_type"`
	Data  []byte `json:"data"`
}

// media lists the media types that the API accepts.
var media = map[string][]string{
	"image":    {"image/png", "image/jpeg", "image/gif", "image/webp"},
	"document": {"application/pdf"},
}

// checkBlocks refuses content that would end the agent or that the API refuses. Once such
// content is in the conversation, every later message would fail too.
func checkBlocks(content []byte) ([]block, error) {
	bad := func(format string, args ...any) error {
		return fault.BadOption("content: "+format, args...)
	}
	var blocks []block
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&blocks); err != nil {
		return nil, bad("it must be a list of blocks: %v", err)
	}
	says := false
	for i, b := range blocks {
		switch {
		case b.Type == "text" && b.Source == nil && b.Title == "":
			if strings.TrimSpace(b.Text) != "" {
				says = true
			} else if len(blocks) > 1 {
				return nil, bad("block %d has no text", i+1)
			}
		case media[b.Type] != nil && b.Source != nil && b.Source.Type == "base64" && len(b.Source.Data) > 0 && b.Text == "":
			if says = true; !slices.Contains(media[b.Type], b.Source.Media) {
				return nil, bad("block %d: media_type of a %s is %q: it must be %s", i+1, b.Type, ipc.Clip(b.Source.Media, 64), strings.Join(media[b.Type], ", "))
			}
		default:
			return nil, bad("block %d is neither a text nor an image or document with a base64 source", i+1)
		}
	}
	if !says {
		return nil, fault.New(ipc.CodeUsage, "blank", errors.New("the message is blank"))
	}
	return blocks, nil
}
