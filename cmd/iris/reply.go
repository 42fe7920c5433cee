package main

import (
	"encoding/json"
	"io"
	"strings"

	"iris/ipc"
)

// printReply prints the answer, and on stderr what is to be known besides, and
// returns how the turn ended.
func printReply(stdout, stderr io.Writer, r *ipc.Reply, raw bool) error {
	if r.Notice != "" {
		say(stderr, "%s", r.Notice)
	}
	if answers(r.Outcome) {
		if err := printText(stdout, r.Text, raw); err != nil {
			return err
		}
	}
	return replyError(r)
}

// answers reports whether the text of a reply is an answer, if perhaps only a
// part of one. With other outcomes it is what the agent said of its failure.
func answers(outcome string) bool {
	switch outcome {
	case "success", "denied", "incomplete", "limit":
		return true
	}
	return false
}

// printText writes the JSON string raw as text that ends with a line feed.
func printText(stdout io.Writer, text json.RawMessage, raw bool) error {
	out := newPrinter(stdout, raw)
	end := &lastByte{w: out}
	if err := ipc.UnquoteTo(end, text); err != nil {
		return err
	}
	if end.any && end.last != '\n' {
		io.WriteString(out, "\n")
	}
	return out.Close()
}

// lastByte remembers the last byte that was written.
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

// replyError returns nil for success and else what the agent reported.
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
