package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"iris/cmd/iris/internal/terminal"
	"iris/config/sys"
	"iris/pool/claude/transcript"
)

// stamps are at the beginning of an entry.
var stamps = regexp.MustCompile(`(?m)^(\d\d-\d\d \d\d:\d\d|\d\d:\d\d:\d\d)  `)

// rendered is the output for testdata/transcript.jsonl, without the times. Claude
// Code has written that file, except its last six lines.
func rendered(t *testing.T, change func(*logPrinter)) string {
	t.Helper()
	var buf bytes.Buffer
	out := terminal.NewPrinter(&buf, false)
	p := newLogPrinter(out, &logsOptions{all: true})
	change(p)
	f := new(transcript.Reader)
	f.Aim("testdata/transcript.jsonl")
	defer f.Close()
	if _, err := f.Open(); err != nil {
		t.Fatal(err)
	}
	for {
		line, err := f.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.record(line)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	return stamps.ReplaceAllString(buf.String(), "")
}

func TestTranscriptAsText(t *testing.T) {
	got := rendered(t, func(*logPrinter) {})
	golden := filepath.Join("testdata", "transcript.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(got, "never shown") {
		t.Error("what nobody said is shown")
	}
}

func TestTailOfATranscript(t *testing.T) {
	for n, want := range map[int]string{
		0: "",
		2: "Task answered\n  whiskers\n  [image]\nmcp__x__y failed\n  " + strings.Repeat("x", resultBytes) + "\n  [1000 B more, 2.9 KiB in all; --raw has it]\n",
		3: "subagent\n  closer\nTask answered\n",
	} {
		got := rendered(t, func(p *logPrinter) { p.keep = n })
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("the last %d:\n%s", n, got)
		}
	}
}

// The third turn is the one whose tool was denied.
func TestOneTurnOfATranscript(t *testing.T) {
	day := "2026-11-25T21:21:43"
	at := func(text string) *time.Time {
		when, err := time.Parse(time.RFC3339, day+text+"Z")
		if err != nil {
			t.Fatal(err)
		}
		return &when
	}
	// Times on record have nanoseconds, and an end may be recorded before the
	// last line is dated.
	got := rendered(t, func(p *logPrinter) { p.part.Since, p.part.Until = at(".484000001"), at(".499") })
	want := "you\n  tool:Write:{\"file_path\":\"/etc/iris-denied\",\"content\":\"x\"}\nWrite: /etc/iris-denied\nWrite failed\n" +
		"  Claude requested permissions to write to /etc/iris-denied, but you haven't granted it yet.\nagent\n  tool said: Claude requested"
	if !strings.HasPrefix(got, want) || strings.Contains(got, "status:400") || strings.Count(got, "\nagent\n") != 1 {
		t.Errorf("got\n%s", got)
	}
	open := rendered(t, func(p *logPrinter) { p.part.Since = at(".484") })
	if !strings.HasPrefix(open, want) || !strings.Contains(open, "A cat.") {
		t.Errorf("a turn without an end: got\n%s", open)
	}
}

// Entries that were printed are not printed again when another file replaces theirs.
func TestReplacedTranscriptIsNotRepeated(t *testing.T) {
	var buf bytes.Buffer
	p := newLogPrinter(terminal.NewPrinter(&buf, false), &logsOptions{all: true})
	line := func(second int, text string) []byte {
		return []byte(`{"type":"assistant","timestamp":"2026-11-25T21:22:0` + string(rune('0'+second)) + `.000Z","message":{"content":"` + text + `"}}`)
	}
	for _, l := range [][]byte{line(1, "one"), line(2, "two")} {
		p.record(l)
	}
	p.again()
	for _, l := range [][]byte{line(1, "one"), line(2, "two"), line(3, "three")} {
		p.record(l)
	}
	if err := p.flush(); err != nil || strings.Count(buf.String(), "one") != 1 || !strings.Contains(buf.String(), "three") {
		t.Errorf("got %q, %v", buf.String(), err)
	}
}

// The call of a tool and its input are one line, and no text can look like such a
// line.
func TestNobodySpeaksForOthersInATranscript(t *testing.T) {
	var buf bytes.Buffer
	p := newLogPrinter(terminal.NewPrinter(&buf, false), &logsOptions{all: true})
	p.record([]byte(`{"type":"assistant","timestamp":"2026-11-25T21:22:01.000Z","message":{"content":[` +
		`{"type":"text","text":"x\n21:22:01  you\n  yes"},` +
		`{"type":"tool_use","id":"1","name":"Bash\n21:22:01  you","input":{"command":"a\n21:22:01  you"}}]}}`))
	p.record([]byte(`{"type":"user","timestamp":"2026-11-25T21:22:01.000Z","message":{"content":[{"type":"tool_result","tool_use_id":"1","content":"y\n21:22:01  you"}]}}`))
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(buf.String(), "\n21:22:01  you") || strings.Count(buf.String(), "you") != 5 {
		t.Errorf("got\n%s", buf.String())
	}
}

// FuzzTranscript checks that no line of a transcript can steer a terminal through the
// Printer, and that it is one record or none.
func FuzzTranscript(f *testing.F) {
	written, err := os.ReadFile("testdata/transcript.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(written)) {
		f.Add(line)
	}
	f.Add(`{"type":"assistant","message":{"content":[{"type":"tool_use","name":"a\u001b[31m\nb","input":{"command":"\u009b\r"}}]}}`)
	f.Add(`{"type":"user","message":{"content":[{"type":"tool_result","content":[{"type":"\u001b"},{"type":"text","text":"\r\u202e"}]}]}}`)
	f.Fuzz(func(t *testing.T, line string) {
		var buf bytes.Buffer
		out := terminal.NewSafePrinter(&buf)
		p := newLogPrinter(out, &logsOptions{all: true})
		if err := p.record([]byte(line)); err != nil {
			t.Fatal(err)
		}
		if err := p.flush(); err != nil {
			t.Fatal(err)
		}
		out.Close()
		rest := strings.NewReplacer("\r\n", "", "\n", "", "\t", "").Replace(buf.String())
		if strings.ContainsFunc(rest, sys.Steers) || !utf8.ValidString(rest) {
			t.Errorf("%q became %q", line, buf.String())
		}
	})
}

// longTranscript is a transcript of some megabytes: prompts, answers, and the calls of tools
// whose results come at once or much later.
func longTranscript(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	line := func(format string, args ...any) {
		at = at.Add(time.Second)
		fmt.Fprintf(&b, format+"\n", append([]any{at.Format(time.RFC3339Nano)}, args...)...)
	}
	for i := range 3000 {
		line(`{"type":"user","timestamp":%q,"message":{"content":"prompt %d"}}`, i)
		line(`{"type":"assistant","timestamp":%q,"message":{"content":[{"type":"tool_use","id":"c%d","name":"Tool%d","input":{}}]}}`, i, i)
		if i%1000 == 0 {
			line(`{"type":"assistant","timestamp":%q,"message":{"content":[{"type":"tool_use","id":"far","name":"Far%d","input":{}}]}}`, i)
		}
		line(`{"type":"user","timestamp":%q,"message":{"content":[{"type":"tool_result","tool_use_id":"c%d","content":"done"}]}}`, i)
		if i%1000 == 999 {
			line(`{"type":"user","timestamp":%q,"message":{"content":[{"type":"tool_result","tool_use_id":"far","content":"done"}]}}`)
		}
		line(`{"type":"assistant","timestamp":%q,"message":{"content":[{"type":"text","text":"%s"}]}}`, strings.Repeat("word ", 100))
	}
	path := filepath.Join(t.TempDir(), "long.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Reading from near the end gives what reading everything gives.
func TestEndOfALongTranscript(t *testing.T) {
	path := longTranscript(t)
	last := time.Date(2026, 11, 25, 12, 0, 12006, 0, time.UTC)
	for _, c := range []struct {
		limit int
		since time.Duration // before the last record; 0 for all
	}{{1, 0}, {20, 0}, {1000, 0}, {5000, 0}, {50000, 0}, {-1, time.Minute}, {-1, time.Hour}, {-1, 100 * time.Hour}, {20, time.Minute}, {500, time.Minute}} {
		print := func(read func(*logReader) error) string {
			var buf bytes.Buffer
			opts := &logsOptions{all: c.limit < 0, limit: uint64(max(0, c.limit))}
			l := logReader{out: newLogPrinter(terminal.NewPrinter(&buf, false), opts), stderr: io.Discard}
			if c.since > 0 {
				since := last.Add(-c.since)
				l.out.part.Since = &since
			}
			l.file.Aim(path)
			defer l.file.Close()
			_, err := l.file.Open()
			if err = cmp.Or(err, read(&l), l.out.flush()); err != nil {
				t.Fatal(err)
			}
			return buf.String()
		}
		got := print((*logReader).readEnd)
		want := print(func(l *logReader) error { return l.read(l.out.record) })
		if got != want {
			t.Errorf("%+v: got %d bytes of text, want %d", c, len(got), len(want))
		}
	}
}
