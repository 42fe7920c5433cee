package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"
)

// isTerminal reports whether f, a stream of the command, is a terminal.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// A printer writes one command's data. Close says whether all of it arrived.
type printer struct {
	buf  *bufio.Writer
	safe *safeWriter // between buf and the stream, nil when bytes pass as they are
}

// newPrinter returns a printer for text that people read: on a terminal it
// cannot steer it, unless raw is set; in a pipe or file the bytes pass as they
// are.
func newPrinter(w io.Writer, raw bool) *printer {
	if raw || !isTerminal(w) {
		return &printer{buf: bufio.NewWriter(w)}
	}
	safe := &safeWriter{w: w, form: formText}
	return &printer{buf: bufio.NewWriter(safe), safe: safe}
}

func (p *printer) Write(b []byte) (int, error) { return p.buf.Write(b) }

// Close writes what is still held back. It does not close the stream.
func (p *printer) Close() error {
	if err := p.buf.Flush(); err != nil {
		return err
	}
	if p.safe == nil {
		return nil
	}
	return p.safe.flush()
}

// printJSON writes v as one line of JSON in which every control character is
// escaped, also those that JSON itself allows to stand, so that a terminal may
// show it.
func printJSON(w io.Writer, v any) error {
	safe := &safeWriter{w: w, form: formJSON}
	buf := bufio.NewWriter(safe)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	return safe.flush()
}

// printFields writes one name and value a line, values aligned.
func printFields(w io.Writer, fields [][2]string) error {
	width := 0
	for _, f := range fields {
		width = max(width, len(f[0]))
	}
	buf := bufio.NewWriter(w)
	for _, f := range fields {
		fmt.Fprintf(buf, "%-*s  %s\n", width+1, f[0]+":", orDash(escape(f[1])))
	}
	return buf.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// name joins a team and a session as commands take them.
func name(team, session string) string {
	if session == "" {
		return team
	}
	return team + "@" + session
}

// span says a duration in one unit, as people do.
func span(d time.Duration) string { return plural(rough(d)) }

// short is span for a column of a table: "41s", "3m", "2h" or "5d".
func short(d time.Duration) string {
	n, unit := rough(d)
	return strconv.Itoa(int(n)) + unit[:1]
}

// rough rounds a duration to the unit that people would use.
func rough(d time.Duration) (n time.Duration, unit string) {
	d = max(d, 0)
	switch {
	case d < 90*time.Second:
		return d.Round(time.Second) / time.Second, "second"
	case d < 90*time.Minute:
		return d.Round(time.Minute) / time.Minute, "minute"
	case d < 48*time.Hour:
		return d.Round(time.Hour) / time.Hour, "hour"
	}
	return d / (24 * time.Hour), "day"
}

func plural[N ~int | ~int64](n N, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.FormatInt(int64(n), 10) + " " + unit + "s"
}

// ago says how long before now t was; "never" for no time at all.
func ago(now time.Time, t *time.Time) string {
	switch {
	case t == nil:
		return "never"
	case now.Sub(*t) < time.Second:
		return "now"
	}
	return short(now.Sub(*t)) + " ago"
}

// in says how long after now t is; "never" for no time at all.
func in(now time.Time, t *time.Time) string {
	switch {
	case t == nil:
		return "never"
	case t.Sub(now) < time.Second:
		return "now"
	}
	return "in " + short(t.Sub(now))
}

// size says a number of bytes in three digits; "" for none.
func size(n int64) string {
	const units = "KMGTPE"
	if n <= 0 {
		return ""
	}
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	if f < 10 {
		return fmt.Sprintf("%.1f %ciB", f, units[i])
	}
	return fmt.Sprintf("%.0f %ciB", f, units[i])
}
