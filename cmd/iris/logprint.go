package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"iris/cmd/iris/internal/terminal"
	"iris/pool/claude/transcript"
)

// Of the result of a tool so much is shown.
const (
	resultLines = 10
	resultBytes = 2000
)

// askedWidth is how many characters are shown of what a tool is asked.
const askedWidth = 100

// A logPrinter prints the records of a transcript, as people read them or as
// they are.
type logPrinter struct {
	out   *terminal.Printer
	raw   bool
	part  transcript.Part
	tools map[string]string // names of the tools that have not answered, by id of the call
	blank bool              // something has been printed

	keep  int      // of what is there at first, only the last so many; -1 for all
	first bool     // what is there at first has been read
	kept  [][]byte // the last of it
}

func newLogPrinter(out *terminal.Printer, o *logsOptions) *logPrinter {
	p := &logPrinter{out: out, raw: o.raw, keep: -1, tools: map[string]string{}}
	if !o.all {
		p.keep = int(min(o.tail, 1<<30))
	}
	return p
}

// record prints one line of a transcript, if it is in the part that is wanted.
func (p *logPrinter) record(line []byte) error {
	r, ok := transcript.Parse(line)
	if !p.part.Takes(&r) {
		return nil
	}
	if p.raw {
		return p.print(append(line[:len(line):len(line)], '\n'))
	}
	if !ok {
		return nil
	}
	for _, e := range r.Entries() {
		if err := p.print(p.text(&e)); err != nil {
			return err
		}
	}
	return nil
}

// print writes b, or holds it back until the end of what is there is known.
func (p *logPrinter) print(b []byte) error {
	if p.first || p.keep < 0 {
		_, err := p.out.Write(b)
		return err
	}
	p.kept = append(p.kept, bytes.Clone(b))
	if len(p.kept) > 2*p.keep {
		p.kept = p.kept[len(p.kept)-p.keep:]
	}
	return nil
}

// flush has all arrive that was printed, for now.
func (p *logPrinter) flush() error {
	if !p.first && p.keep >= 0 {
		p.kept = p.kept[max(0, len(p.kept)-p.keep):]
		if _, err := p.out.Write(bytes.TrimPrefix(bytes.Join(p.kept, nil), []byte("\n"))); err != nil {
			return err
		}
	}
	p.first, p.kept = true, nil
	return p.out.Flush()
}

// again is called when the file has been replaced: what was printed of the old
// one is not printed again.
func (p *logPrinter) again() { p.part.Again() }

// text is an entry as people read it: a line that says who, and below it what.
func (p *logPrinter) text(e *transcript.Entry) []byte {
	var b bytes.Buffer
	if e.Who == transcript.You && p.blank {
		b.WriteByte('\n')
	}
	p.blank = true
	b.WriteString(clock(e.At, time.Now()) + "  ")
	switch {
	case e.Call != "" && e.Result:
		fmt.Fprintf(&b, "%s %s\n", terminal.Escape(p.toolOf(e.Call)), e.Who)
		indent(&b, shorten(e.Text))
	case e.Call != "":
		p.tools[e.Call] = e.Who
		fmt.Fprintf(&b, "%s: %s\n", terminal.Escape(e.Who), terminal.Clip(terminal.Escape(e.Text), askedWidth))
	default:
		b.WriteString(e.Who + "\n")
		indent(&b, e.Text)
	}
	return b.Bytes()
}

// toolOf is the tool whose call has that id, which is over with its result.
func (p *logPrinter) toolOf(call string) string {
	tool, ok := p.tools[call]
	if !ok {
		return "a tool"
	}
	delete(p.tools, call)
	return tool
}

// indent writes the lines of a text a little to the right.
func indent(w io.Writer, text string) {
	text = strings.TrimRight(text, "\r\n")
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

// shorten leaves the beginning of a text, and says how much more there is.
func shorten(text string) string {
	text = strings.TrimRight(text, "\r\n")
	head, lines := text, 0
	for i := range len(text) {
		if text[i] != '\n' {
			continue
		}
		if lines++; lines == resultLines {
			head = text[:i]
			break
		}
	}
	if len(head) > resultBytes {
		head = strings.ToValidUTF8(head[:resultBytes], "")
	}
	if head == text {
		return text
	}
	rest := text[len(head):]
	return fmt.Sprintf("%s\n[%s more, %s in all; --raw has it]", head, moreOf(rest), size(int64(len(text))))
}

// moreOf says how much a text is, in lines where it has some.
func moreOf(rest string) string {
	if n := strings.Count(rest, "\n"); n > 0 {
		return plural(n, "line")
	}
	return size(int64(len(rest)))
}
