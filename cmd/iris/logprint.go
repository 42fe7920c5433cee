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

// How much of the result of a tool is shown.
const (
	resultLines = 10
	resultBytes = 2000
)

// askedWidth is how many characters of a tool's input are shown.
const askedWidth = 100

// A logPrinter prints the records of a transcript, as text or unchanged.
type logPrinter struct {
	out   *terminal.Printer
	raw   bool
	part  transcript.Part
	tools map[string]string // names of the tools without a result yet, by the id of the call
	blank bool              // something has been printed

	keep    int      // how many of the first entries are printed; -1 for all
	first   bool     // the entries that were there at first are read
	kept    [][]byte // the last of those entries
	count   int      // how many there were
	unnamed int      // the last of them that is the result of a tool whose call was not read
}

func newLogPrinter(out *terminal.Printer, o *logsOptions) *logPrinter {
	p := &logPrinter{out: out, raw: o.raw, keep: -1, tools: map[string]string{}}
	if !o.all {
		p.keep = int(min(o.limit, 1<<30))
	}
	return p
}

// record prints one line of a transcript, if it is in the wanted part.
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

// print writes b, or keeps it until the first entries are read.
func (p *logPrinter) print(b []byte) error {
	if p.first || p.keep < 0 {
		_, err := p.out.Write(b)
		return err
	}
	p.count++
	p.kept = append(p.kept, bytes.Clone(b))
	if len(p.kept) > 2*p.keep {
		p.kept = p.kept[len(p.kept)-p.keep:]
	}
	return nil
}

// begin forgets the first entries: they are read again, from an earlier one.
func (p *logPrinter) begin() {
	p.part = transcript.Part{Since: p.part.Since, Until: p.part.Until}
	p.kept, p.count, p.unnamed, p.blank = nil, 0, 0, false
	clear(p.tools)
}

// enough reports whether no entry before the first ones matters.
func (p *logPrinter) enough() bool { return p.count >= p.keep && p.unnamed <= p.count-p.keep }

// flush writes everything printed so far.
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

// again is called when the file was replaced: entries already printed are not printed
// again.
func (p *logPrinter) again() { p.part.Again() }

// text is an entry as text: a line with the speaker, and the words below it.
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

// toolOf is the tool whose call has that id; its result ends the call.
func (p *logPrinter) toolOf(call string) string {
	tool, ok := p.tools[call]
	if !ok {
		p.unnamed = p.count + 1
		return "a tool"
	}
	delete(p.tools, call)
	return tool
}

// indent writes the lines of a text indented.
func indent(w io.Writer, text string) {
	text = strings.TrimRight(text, "\r\n")
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

// shorten keeps the beginning of a text, and says how much more there is.
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

// moreOf is the size of a text, in lines if it has several.
func moreOf(rest string) string {
	if n := strings.Count(rest, "\n"); n > 0 {
		return plural(n, "line")
	}
	return size(int64(len(rest)))
}
