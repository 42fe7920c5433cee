package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A freeText is a text of several arguments, after the first ones of a command: a message,
// or a reason. Flags before the text and after it are flags. A flag between its words is
// refused: it is not known whether it is one, or a word that would be missing in the text.
type freeText struct {
	*globals
	first int    // how many arguments come before it
	what  string // its name in errors
}

// addTo has -h between the words not explain the command, so that check can refuse it.
func (t freeText) addTo(cmd *cobra.Command) *cobra.Command {
	cmd.InitDefaultHelpFlag()
	cmd.Flags().Lookup("help").Value = &helpValue{text: t, flags: cmd.Flags()}
	return cmd
}

// inside reports whether a flag that was read after n of all arguments stands between the
// words.
func (t freeText) inside(n int, args []string) bool {
	words := len(args)
	if words > t.first && args[words-1] == "-" {
		words-- // no word, but standard input
	}
	return n > t.first && n < words
}

// check refuses a flag between the words.
func (t freeText) check(cmd *cobra.Command, args []string) error {
	_, typed, err := cmd.Root().Find(t.args)
	if err != nil {
		return err
	}
	var inside *pflag.Flag
	again := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	again.AddFlagSet(cmd.Flags())
	err = again.ParseAll(typed, func(f *pflag.Flag, _ string) error {
		if inside == nil && t.inside(len(again.Args()), args) {
			inside = f
		}
		return nil
	})
	if err != nil || inside == nil {
		return err
	}
	flag := "--" + inside.Name
	if inside.Shorthand != "" {
		flag = "-" + inside.Shorthand + " (" + flag + ")"
	}
	return usagef(fmt.Sprintf("quote the %s, or put \"--\" before it; a flag of iris goes before or after it", t.what), "%s stands between words of the %s", flag, t.what)
}

// A helpValue is the flag --help of a command with a freeText. Cobra explains the command
// before it checks the arguments, but reads the flag after it has all of them.
type helpValue struct {
	text  freeText
	flags *pflag.FlagSet
	given bool
	at    int // how many arguments came before it
}

func (v *helpValue) Set(text string) (err error) {
	v.given, err = strconv.ParseBool(text)
	v.at = len(v.flags.Args())
	return err
}

func (v *helpValue) String() string {
	return strconv.FormatBool(v.given && !v.text.inside(v.at, v.flags.Args()))
}

func (v *helpValue) Type() string { return "bool" }
