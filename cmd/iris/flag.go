package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/config"
)

// withFlags declares the flags of a command.
func withFlags(cmd *cobra.Command, addFlags func(*pflag.FlagSet)) *cobra.Command {
	addFlags(cmd.Flags())
	return cmd
}

// jsonOptions are the options of a command whose only flag is --json.
type jsonOptions struct {
	*globals
	json bool
}

func (o *jsonOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

func (o *jsonOptions) addLineFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
}

func (o *jsonOptions) addListFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print a JSON array")
}

// A flagValue is the value of a flag. Its word describes it in the help, such as
// FILE. (pflag would take that word from backquotes in the usage, and completion
// scripts would show those.)
type flagValue struct {
	word string
	set  func(text string) error
	text *string // as last set
}

func (f flagValue) Set(text string) error { *f.text = text; return f.set(text) }
func (f flagValue) String() string        { return *f.text }
func (f flagValue) Type() string          { return f.word }

func newFlag(word string, set func(text string) error) flagValue {
	return flagValue{word, set, new(string)}
}

// textVar declares a flag with a text, which may be empty.
func textVar(f *pflag.FlagSet, value *string, name, word, usage string) {
	f.Var(newFlag(word, func(text string) error { *value = text; return nil }), name, usage)
}

// textsFlag is a list of texts; each use of the flag adds one.
func textsFlag(values *[]string, word string) flagValue {
	return newFlag(word, func(text string) error { *values = append(*values, text); return nil })
}

// filledFlag is a text that is not blank: a script with an unset variable must not
// pass unnoticed. why says when to leave the flag out.
func filledFlag(value *string, word, why string) flagValue {
	return newFlag(word, func(text string) error {
		if strings.TrimSpace(text) == "" {
			return errors.New("it is empty; leave it out " + why)
		}
		*value = text
		return nil
	})
}

// keyFlag is the key of a message.
func keyFlag(value *string) flagValue { return filledFlag(value, "KEY", "to send without a key") }

// numberFlag is a whole number.
func numberFlag(value *uint64) flagValue {
	return newFlag("NUMBER", func(text string) (err error) {
		if *value, err = strconv.ParseUint(text, 10, 64); err != nil {
			return errors.New("it must be a whole number")
		}
		return nil
	})
}

// choiceFlag is a bool that also records whether it was given.
func choiceFlag(value, given *bool) flagValue {
	return newFlag("bool", func(text string) (err error) {
		*given = true
		*value, err = strconv.ParseBool(text)
		return err
	})
}

// wordFlag is one of a few words.
func wordFlag(value *string, words []string) flagValue {
	return newFlag("WORD", func(text string) error {
		if !slices.Contains(words, text) {
			return errors.New("it must be " + oneOf(words))
		}
		*value = text
		return nil
	})
}

// wordsFlag is several of a few words, separated by commas or given one by one.
func wordsFlag(value *[]string, words []string) flagValue {
	return newFlag("WORD,...", func(text string) error {
		for word := range strings.SplitSeq(text, ",") {
			if !slices.Contains(words, word) {
				return errors.New("each must be " + oneOf(words))
			}
			*value = append(*value, word)
		}
		return nil
	})
}

// oneOf lists the allowed words: "a, b or c".
func oneOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// maxWait limits a wait to what a duration can surely hold.
const maxWait = 365 * 24 * time.Hour

// seconds is a flag for a duration: "90s", "10m", "2d", or a bare number of seconds.
type seconds time.Duration

func (s *seconds) Set(text string) error {
	if n, err := strconv.Atoi(text); err == nil && n < int(maxWait/time.Second) {
		text = strconv.Itoa(n) + "s"
	}
	d, err := config.ParseDuration(text)
	switch {
	case err != nil:
		return errors.New("write it like 90s, 1h30m or 2d")
	case d <= 0:
		return errors.New("it must be more than 0; leave it out to wait without limit")
	case d > maxWait:
		return errors.New("it must be at most a year; leave it out to wait without limit")
	}
	*s = seconds(d)
	return nil
}

func (s *seconds) String() string {
	if *s == 0 {
		return ""
	}
	text := time.Duration(*s).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func (s *seconds) Type() string { return "TIME" }

// A moment is a flag for a time in the past: how long ago it was, as in "90m" or
// "7d", a day, or a time with its zone.
type moment struct {
	text string
	date time.Time
	ago  time.Duration // before now, when date is not set
}

func (m *moment) Set(text string) error {
	var err error
	if m.ago, err = parseAgo(text); err == nil {
		m.text, m.date = text, time.Time{}
		return nil
	}
	if m.date, err = time.ParseInLocation(time.DateOnly, text, time.Local); err != nil {
		m.date, err = time.Parse(time.RFC3339, text)
	}
	if err != nil {
		return errors.New("write it like 90m, 7d, 2026-11-23 or 2026-11-23T18:00:00Z")
	}
	m.text = text
	return nil
}

func parseAgo(text string) (time.Duration, error) {
	d, err := config.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("in the future")
	}
	return d, err
}

// at returns the time; zero for none.
func (m *moment) at(now time.Time) time.Time {
	if m.text == "" || !m.date.IsZero() {
		return m.date
	}
	return now.Add(-m.ago)
}

func (m *moment) String() string { return m.text }
func (m *moment) Type() string   { return "TIME" }
