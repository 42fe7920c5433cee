package main

import (
	"errors"
	"strconv"

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
