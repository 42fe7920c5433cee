package main

import "github.com/spf13/pflag"

var outputWords = []string{"text", "json", "stream-json"}

// outputOptions say how an answer is printed.
type outputOptions struct {
	format  string
	json    bool
	stream  bool
	chosen  bool // --stream was given, if perhaps as false
	partial bool
}

func (o *outputOptions) addFlags(f *pflag.FlagSet, usage string) {
	f.Var(wordFlag{&o.format, outputWords}, "output", "print the answer as text (the default), json or stream-json, Claude Code's own lines as they come")
	f.BoolVar(&o.json, "json", false, usage)
	f.Var(choiceFlag{&o.stream, &o.chosen}, "stream", "print the text as it comes, in a pipe too")
	f.Lookup("stream").NoOptDefVal = "true"
	f.BoolVar(&o.partial, "include-partial-messages", false, "with stream-json, the pieces of a text too")
}

// acceptNames has the flags of claude that mean the same understood too.
func acceptNames(f *pflag.FlagSet, o *outputOptions) {
	f.Var(wordFlag{&o.format, outputWords}, "output-format", "as --output")
	f.MarkHidden("output-format")
	f.Bool("verbose", false, "taken and left alone")
	f.MarkHidden("verbose")
}

// settle makes one of the flags that say the same, and refuses those that do not
// go together.
func (o *outputOptions) settle() error {
	if o.json && o.format == "" {
		o.format = "json"
	}
	switch {
	case o.json && o.format != "json":
		return usagef("leave one of them out", "--json and --output %s are two ways to print one answer", o.format)
	case o.format == "json" && o.stream:
		return usagef("\"--output stream-json\" prints the agent's lines as they come", "JSON is one object and cannot come piece by piece")
	case o.format == "stream-json" && o.chosen && !o.stream:
		return usagef("leave one of them out", "stream-json comes as it is written, which --stream=false forbids")
	case o.partial && o.format != "stream-json":
		return usagef("add \"--output stream-json\"", "--include-partial-messages is about stream-json")
	}
	o.json = o.format == "json"
	return nil
}

// streams reports whether the output is printed as it comes: stream-json always,
// text where it was asked for, and otherwise if byDefault.
func (o *outputOptions) streams(byDefault bool) bool {
	switch {
	case o.lines():
		return true
	case o.json:
		return false
	case o.chosen:
		return o.stream
	}
	return byDefault
}

// lines reports whether the agent's own lines are printed.
func (o *outputOptions) lines() bool { return o.format == "stream-json" }
