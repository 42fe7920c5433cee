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
	"time"
	"unicode/utf8"
)

// maxMessage is how many bytes a message may have.
const maxMessage = 10 << 20

// quietInput is how long standard input may be silent before the user is told what
// the command waits for.
const quietInput = 2 * time.Second

const stdinName = "standard input"

// A source is where the text of a message comes from.
type source struct {
	args    []string // joined by spaces; a last "-" asks for standard input
	file    string   // instead of standard input; "-" is standard input
	noStdin bool
	stdin   io.Reader
	stderr  io.Writer
}

// read returns the whole message: the arguments, followed after a blank line by a
// file or standard input.
func (s *source) read() (string, error) {
	words, dash := s.words()
	text, err := s.added(words, dash)
	if err != nil {
		return "", err
	}
	return join(strings.Join(words, " "), text)
}

// added is the text of a file or standard input, beside the words.
func (s *source) added(words []string, dash bool) ([]byte, error) {
	switch {
	case s.noStdin && (dash || s.file == "-"):
		return nil, usagef("leave one of them out", "\"-\" and --no-stdin contradict each other")
	case dash && s.file != "":
		return nil, usagef("-f takes the place of standard input", "\"-\" and -f cannot both be given")
	case s.file != "" && s.file != "-":
		return readFile(s.file)
	case dash || s.file == "-":
		return readMessage(s.stdin, stdinName)
	case !s.noStdin && stdinHasInput(s.stdin, len(words) > 0):
		return s.readStdin(len(words) > 0)
	case len(words) == 0:
		return nil, usagef("give one after the team, in a file with -f, or through a pipe", "no message")
	}
	return nil, nil
}

// words returns the arguments without a last "-", and whether there was one.
func (s *source) words() ([]string, bool) {
	if n := len(s.args); n > 0 && s.args[n-1] == "-" {
		return s.args[:n-1], true
	}
	return s.args, false
}

// stdinHasInput reports whether standard input is meant for this command: it is a
// pipe, a socket or a file, and not a terminal or /dev/null. If there are arguments,
// a file that was read in part belongs to the caller: a shell loop "while read LINE;
// do iris send TEAM "$LINE"; done < FILE" must not lose its other lines to the first
// message.
func stdinHasInput(stdin io.Reader, haveText bool) bool {
	f, ok := stdin.(*os.File)
	if !ok {
		return stdin != nil
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&fs.ModeCharDevice != 0 || info.IsDir() {
		return false
	}
	if haveText && info.Mode().IsRegular() {
		at, err := f.Seek(0, io.SeekCurrent)
		return err == nil && at == 0
	}
	return true
}

// readStdin reads standard input to its end when it was not requested by name. If a
// pipe stays open without input beside arguments, it says after a while what it waits
// for.
func (s *source) readStdin(haveText bool) ([]byte, error) {
	if haveText {
		note := time.AfterFunc(quietInput, func() {
			say(s.stderr, "waiting for the end of standard input")
			say(s.stderr, "hint: -n does not read it, as \"< /dev/null\" would")
		})
		defer note.Stop()
	}
	return readMessage(s.stdin, stdinName)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usagef("", "read the message: %s", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, usagef("", "read the message: %s", err)
	case info.IsDir():
		return nil, usagef("", "read the message: %s is a directory", path)
	case info.Mode().IsRegular() && info.Size() > maxMessage:
		return nil, tooLarge(fmt.Sprintf("%s has %d bytes", path, info.Size()))
	}
	return readMessage(f, path)
}

func readMessage(r io.Reader, what string) ([]byte, error) {
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(r, maxMessage+1))
	switch {
	case err != nil:
		return nil, usagef("", "read the message: %s", err)
	case n > maxMessage:
		return nil, tooLarge(what + " has more")
	}
	return buf.Bytes(), nil
}

func tooLarge(what string) error {
	return usagef("put it in a file of the project and name that file in the message",
		"the message is too large: %s, and a message has at most %d bytes", what, maxMessage)
}

// join puts the two parts together and checks the whole.
func join(words string, text []byte) (string, error) {
	whole := words
	if len(bytes.TrimSpace(text)) > 0 {
		if words != "" {
			whole += "\n\n"
		}
		whole += string(text)
	}
	switch {
	case len(whole) > maxMessage:
		return "", tooLarge(fmt.Sprintf("it has %d bytes", len(whole)))
	case strings.TrimSpace(whole) == "":
		return "", usagef("give one after the team, in a file with -f, or through a pipe", "the message is blank")
	}
	if at := invalidAt(whole); at >= 0 {
		return "", notUTF8(whole, at)
	}
	return whole, nil
}

func notUTF8(text string, at int) error {
	return usagef("convert it with iconv, or name the file in the message",
		"the message is not valid UTF-8: byte %d is 0x%02x", at, text[at])
}

// invalidAt returns the offset of the first byte of s that is not UTF-8, or -1.
func invalidAt(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if _, n := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && n == 1 {
			return i
		}
	}
	return -1
}

// attached reports whether a word of the arguments names a file.
func attached(word string) bool { return len(word) > 1 && word[0] == '@' }

// A block is one piece of a message with files, in the form of the Messages API.
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

// blocks returns the message as a list of blocks: the words and files in order, then
// the text of standard input or a file. It is nil if no word names a file.
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

// attach reads the file that a word names. Its content decides its kind.
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

// attachError says what is wrong with a word that names a file, and how to send the
// word itself, or have the agent read a file that cannot be sent.
func attachError(path string, err error) error {
	hint := "a word that begins with \"@\" names a file to send along; quote the message, so that the word is not alone"
	if !errors.Is(err, fs.ErrNotExist) {
		hint = "name it in the message, between quotes, and have the agent read it"
	}
	return usagef(hint, "file %s: %s", path, err)
}

// kindOf detects images and PDF by their first bytes, and text by all bytes.
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
