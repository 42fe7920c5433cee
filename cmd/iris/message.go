package main

import (
	"bytes"
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

// quietInput is how long standard input may say nothing before the user is
// told what the command waits for.
const quietInput = 2 * time.Second

const stdinName = "standard input"

// A source says where the text of a message is.
type source struct {
	args    []string // joined by spaces; a last "-" asks for standard input
	file    string   // instead of standard input; "-" is standard input
	noStdin bool
	stdin   io.Reader
	stderr  io.Writer
}

// read returns the whole message: the arguments, then what a file or standard
// input adds to them after a blank line.
func (s *source) read() (string, error) {
	words, dash := s.words()
	text, err := s.added(words, dash)
	if err != nil {
		return "", err
	}
	return join(strings.Join(words, " "), text)
}

// added is what a file or standard input adds to the words.
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
	case !s.noStdin && feeds(s.stdin, len(words) > 0):
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

// feeds reports whether standard input has something for us: it is a pipe, a
// socket or a file, and not a terminal or /dev/null. When there are arguments,
// a file that somebody has begun to read is theirs and not ours: a shell loop
// "while read LINE; do iris send TEAM "$LINE"; done < FILE" must not lose its
// other lines to the first message.
func feeds(stdin io.Reader, haveText bool) bool {
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

// readStdin reads to the end what nobody asked for by name. Beside arguments, a
// pipe that somebody holds open without writing would be a hang that nobody
// expects, so it is said after a while.
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
