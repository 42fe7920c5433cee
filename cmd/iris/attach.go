package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"
)

// attached reports whether a word of the arguments names a file.
func attached(word string) bool { return len(word) > 1 && word[0] == '@' }

// A block is one piece of a message that has files in it, as the Messages API
// has it.
type block struct {
	Type   string       `json:"type"`
	Text   string       `json:"text,omitempty"`
	Source *blockSource `json:"source,omitempty"`
}

type blockSource struct {
	Type  string `json:"type"`
	Media string `json:"media_type"`
	Data  string `json:"data"`
}

func textBlock(text string) block { return block{Type: "text", Text: text} }

// blocks returns the message as a list of blocks: the words and files in their
// order, then what standard input or a file adds. It is nil when no word names a
// file.
func (s *source) blocks() (json.RawMessage, error) {
	words, dash := s.words()
	var list []block
	var text []string
	files := 0
	flush := func() {
		if joined := strings.Join(text, " "); strings.TrimSpace(joined) != "" {
			list = append(list, textBlock(joined))
		}
		text = nil
	}
	for _, word := range words {
		if !attached(word) {
			text = append(text, word)
			continue
		}
		flush()
		b, err := attach(word[1:])
		if err != nil {
			return nil, err
		}
		list = append(list, b...)
		files++
	}
	if files == 0 {
		return nil, nil
	}
	flush()
	added, err := s.added(words, dash)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(added)) > 0 {
		list = append(list, textBlock(string(added)))
	}
	for _, b := range list {
		if at := invalidAt(b.Text); at >= 0 {
			return nil, notUTF8(b.Text, at)
		}
	}
	raw, err := encodeBlocks(list)
	if size := len(raw); err == nil && size > maxMessage {
		return nil, tooLarge(fmt.Sprintf("with its files it has %d bytes", size))
	}
	return raw, err
}

// encodeBlocks is json.Marshal without escaping of HTML.
func encodeBlocks(list []block) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(list)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}

// attach reads a file that a word names. The kind is told by what is in it.
func attach(path string) ([]block, error) {
	data, err := readAttached(path)
	if err != nil {
		return nil, err
	}
	kind, media := kindOf(data)
	if kind == "" {
		return nil, attachError(path, errors.New("it is neither an image, nor a PDF, nor text"))
	}
	if kind == "text" {
		return []block{textBlock("File " + path + ":\n\n" + string(data))}, nil
	}
	source := &blockSource{Type: "base64", Media: media, Data: base64.StdEncoding.EncodeToString(data)}
	return []block{textBlock("File " + path + ":"), {Type: kind, Source: source}}, nil
}

func readAttached(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, attachError(path, errors.Unwrap(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("it is a directory")
	}
	if err != nil {
		return nil, attachError(path, err)
	}
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(f, maxMessage+1))
	switch {
	case err != nil:
		return nil, attachError(path, err)
	case n == 0:
		return nil, attachError(path, errors.New("it is empty"))
	case n > maxMessage:
		return nil, attachError(path, fmt.Errorf("it has more than the %d bytes of a message", maxMessage))
	}
	return buf.Bytes(), nil
}

// attachError says what is wrong with a word that names a file, and how to send
// the word itself, or have the agent read what cannot be sent.
func attachError(path string, err error) error {
	hint := "a word that begins with \"@\" names a file to send along; quote the message, so that the word is not alone"
	if !errors.Is(err, fs.ErrNotExist) {
		hint = "name it in the message, between quotes, and have the agent read it"
	}
	return usagef(hint, "file %s: %s", path, err)
}

// kindOf tells images and PDF by their first bytes, and text by all.
func kindOf(data []byte) (kind, media string) {
	begins := func(magic string) bool { return bytes.HasPrefix(data, []byte(magic)) }
	switch {
	case begins("\x89PNG\r\n\x1a\n"):
		return "image", "image/png"
	case begins("\xff\xd8\xff"):
		return "image", "image/jpeg"
	case begins("GIF87a"), begins("GIF89a"):
		return "image", "image/gif"
	case begins("RIFF") && len(data) > 12 && string(data[8:12]) == "WEBP":
		return "image", "image/webp"
	case begins("%PDF-"):
		return "document", "application/pdf"
	case utf8.Valid(data) && bytes.IndexByte(data, 0) < 0:
		return "text", ""
	}
	return "", ""
}
