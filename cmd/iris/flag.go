package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// A textFlag is a string whose help says what it is: its type is the word for
// its value, such as FILE. (pflag would take that word from the usage, where
// backquotes mark it, and completion scripts would show those.)
type textFlag struct {
	value *string
	word  string
}

func (f textFlag) Set(text string) error { *f.value = text; return nil }
func (f textFlag) String() string        { return *f.value }
func (f textFlag) Type() string          { return f.word }

// textVar declares a flag with a text.
func textVar(f *pflag.FlagSet, value *string, name, word, usage string) {
	f.Var(textFlag{value, word}, name, usage)
}

// A numberFlag is the number of something.
type numberFlag uint64

func (f *numberFlag) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return errors.New("it must be a whole number")
	}
	*f = numberFlag(n)
	return nil
}

func (f *numberFlag) String() string { return strconv.FormatUint(uint64(*f), 10) }
func (f *numberFlag) Type() string   { return "NUMBER" }

// A choiceFlag is a bool of which it matters whether it was given.
type choiceFlag struct{ value, given *bool }

func (f choiceFlag) Set(text string) (err error) {
	*f.given = true
	*f.value, err = strconv.ParseBool(text)
	return err
}

func (f choiceFlag) String() string { return strconv.FormatBool(f.value != nil && *f.value) }
func (f choiceFlag) Type() string   { return "bool" }

// A wordFlag is one of a few words.
type wordFlag struct {
	value *string
	words []string
}

func (f wordFlag) Set(text string) error {
	if !slices.Contains(f.words, text) {
		return errors.New("it must be " + oneOf(f.words))
	}
	*f.value = text
	return nil
}

func (f wordFlag) String() string { return *f.value }
func (f wordFlag) Type() string   { return "WORD" }

// A wordsFlag is some of a few words, with commas between them or given one by
// one.
type wordsFlag struct {
	value *[]string
	words []string
}

func (f wordsFlag) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		if !slices.Contains(f.words, word) {
			return errors.New("each must be " + oneOf(f.words))
		}
		*f.value = append(*f.value, word)
	}
	return nil
}

func (f wordsFlag) String() string { return strings.Join(*f.value, ",") }
func (f wordsFlag) Type() string   { return "WORD,..." }

// oneOf says what is allowed: "a, b or c".
func oneOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// A keyFlag is the key of a message. An empty one would be none, which is not
// what a script with an unset variable wants.
type keyFlag struct{ value *string }

func (f keyFlag) Set(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("it is empty; leave it out to send without a key")
	}
	*f.value = text
	return nil
}

func (f keyFlag) String() string { return *f.value }
func (f keyFlag) Type() string   { return "KEY" }
