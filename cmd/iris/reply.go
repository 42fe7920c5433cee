package main

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
	"iris/pool/claude/variables"
)

// printReply prints the answer on stdout and its notice and other remarks on stderr,
// and returns how the turn ended.
func printReply(stdout, stderr io.Writer, r *ipc.Reply, raw bool) error {
	if r.Notice != "" {
		say(stderr, "%s", r.Notice)
	}
	if answers(r.Outcome) || len(r.Earlier) > 0 {
		if err := unwritten("the answer", r.ID, "result", printText(stdout, r, raw)); err != nil {
			return err
		}
	}
	return replyError(r)
}

// answers reports whether the text of a reply is an answer or a part of one. With
// other outcomes it is the agent's text about its failure.
func answers(outcome string) bool {
	switch outcome {
	case "success", "denied", "incomplete", "limit":
		return true
	}
	return false
}

// printText writes the answers of a reply as text that ends with a line feed, with
// a blank line between two.
func printText(stdout io.Writer, r *ipc.Reply, raw bool) error {
	out := terminal.NewPrinter(stdout, raw)
	end := &lastByte{w: out}
	for _, text := range r.Earlier {
		io.WriteString(end, text)
		end.blankLine()
	}
	if answers(r.Outcome) {
		if _, err := io.WriteString(end, r.Text); err != nil {
			return err
		}
	}
	if end.any && end.last != '\n' {
		io.WriteString(out, "\n")
	}
	return out.Close()
}

// lastByte remembers the last byte written.
type lastByte struct {
	w    io.Writer
	any  bool
	last byte
}

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.any, l.last = true, p[len(p)-1]
	}
	return l.w.Write(p)
}

// blankLine leaves a blank line after the text so far.
func (l *lastByte) blankLine() {
	if !l.any {
		return
	}
	if l.last != '\n' {
		io.WriteString(l, "\n")
	}
	io.WriteString(l, "\n")
}

// replyError returns nil for success, and otherwise the failure that the agent
// reported.
func replyError(r *ipc.Reply) error {
	if outcomeStatus(r.Outcome) == exitOK {
		return nil
	}
	text := r.Error
	switch {
	case text == "" && r.Outcome == "denied":
		text = "denied: " + deniedTools(r.Denials)
	case text == "":
		text = "the turn ended: " + r.Outcome
	}
	return &outcomeError{outcome: r.Outcome, text: text, hint: r.Hint}
}

func deniedTools(denials []ipc.Denial) string {
	var tools []string
	for _, d := range denials {
		tools = append(tools, d.Tool)
	}
	return strings.Join(tools, ", ")
}

// errorReply is the --json output when the agent did not end the turn by its own
// word; its names are those of ipc.Reply, if they mean the same.
type errorReply struct {
	ID      string `json:"id,omitempty"`
	Team    string `json:"team"`
	Session string `json:"session"`
	Outcome string `json:"outcome"` // always "none"
	Error   string `json:"error"`
	Hint    string `json:"hint,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Status  int    `json:"status"`
}

// statusReply is a reply and the exit status.
type statusReply struct {
	*ipc.Reply
	Status int `json:"status"`
}

// printReplyJSON prints one object in any case, and returns err or how the turn
// ended. none holds what is known of a message without a reply.
func printReplyJSON(stdout io.Writer, none errorReply, reply *ipc.Reply, err error) error {
	if err == nil {
		ended := replyError(reply)
		if err := unwritten("the answer", reply.ID, "result", terminal.JSON(stdout, statusReply{reply, status(ended)})); err != nil {
			return err
		}
		return ended
	}
	none.Outcome, none.Error, none.Hint, none.Reason, none.Status = "none", err.Error(), hint(err), ipc.ReasonOf(err), status(err)
	var wire *ipc.Error
	var wait *waitError
	switch {
	case errors.As(err, &wait) && wait.id != "":
		none.ID = wait.id
	case errors.As(err, &wire) && wire.Data != nil && wire.Data.ID != "":
		none.ID = wire.Data.ID
	}
	if err := unwritten("the end", none.ID, "result", terminal.JSON(stdout, &none)); err != nil {
		return err
	}
	return err
}

// credentialKeys returns the names of the credentials that environ sets, never their
// values: the daemon reports which of them its agents lack.
func credentialKeys(environ []string) []string {
	var keys []string
	for _, kv := range environ {
		key, value, _ := strings.Cut(kv, "=")
		if value != "" && variables.IsCredential(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

var outputWords = []string{"text", "json", "stream-json"}

// outputOptions are the options for printing an answer.
type outputOptions struct {
	format  string
	json    bool
	stream  bool
	chosen  bool // --stream was given, maybe as false
	partial bool
}

func (o *outputOptions) addFlags(f *pflag.FlagSet, usage string) {
	f.Var(wordFlag(&o.format, outputWords), "output", "text, json or stream-json; text is the default, stream-json are Claude Code's own lines as they come")
	f.BoolVar(&o.json, "json", false, usage)
	f.Var(choiceFlag(&o.stream, &o.chosen), "stream", "print the text as it comes; in a pipe, too")
	f.Lookup("stream").NoOptDefVal = "true"
	f.BoolVar(&o.partial, "include-partial-messages", false, "stream-json: the pieces of a text too")
}

// acceptNames adds the flags of claude with the same meaning.
func acceptNames(f *pflag.FlagSet, o *outputOptions) {
	f.Var(wordFlag(&o.format, outputWords), "output-format", "as --output")
	f.MarkHidden("output-format")
	f.Bool("verbose", false, "taken and left alone")
	f.MarkHidden("verbose")
}

// normalize merges the flags with the same meaning, and refuses contradictions.
func (o *outputOptions) normalize() error {
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

// streams reports whether the output is printed as it comes: stream-json always, text
// if requested, and otherwise if byDefault.
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
