package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// stamps are at the beginning of an entry.
var stamps = regexp.MustCompile(`(?m)^(\d\d-\d\d \d\d:\d\d|\d\d:\d\d:\d\d)  `)

// rendered is what is printed of testdata/transcript.jsonl, which Claude Code has
// written but for its last six lines, without the times.
func rendered(t *testing.T, change func(*logPrinter)) string {
	t.Helper()
	var buf bytes.Buffer
	out := newPrinter(&buf, false)
	p := newLogPrinter(out, &logsOptions{all: true})
	change(p)
	f := recordFile{path: "testdata/transcript.jsonl"}
	defer f.close()
	if _, err := f.open(); err != nil {
		t.Fatal(err)
	}
	for {
		line, err := f.next()
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
	got := rendered(t, func(p *logPrinter) { p.part.since, p.part.until = at(".484000001"), at(".499") })
	want := "you\n  tool:Write:{\"file_path\":\"/etc/iris-denied\",\"content\":\"x\"}\nWrite: /etc/iris-denied\nWrite failed\n" +
		"  Claude requested permissions to write to /etc/iris-denied, but you haven't granted it yet.\nagent\n  tool said: Claude requested"
	if !strings.HasPrefix(got, want) || strings.Contains(got, "status:400") || strings.Count(got, "\nagent\n") != 1 {
		t.Errorf("got\n%s", got)
	}
	open := rendered(t, func(p *logPrinter) { p.part.since = at(".484") })
	if !strings.HasPrefix(open, want) || !strings.Contains(open, "A cat.") {
		t.Errorf("a turn without an end: got\n%s", open)
	}
}

// The end of the turn before is none of it, also in the same millisecond.
func TestATurnBeginsWithItsPrompt(t *testing.T) {
	since := time.Date(2026, 11, 25, 21, 21, 43, 484_900_000, time.UTC)
	at := since.Truncate(time.Millisecond)
	p := part{since: &since}
	for i, c := range []struct {
		typ  string
		want bool
	}{{"assistant", false}, {"user", true}, {"assistant", true}} {
		if got := p.takes(&record{Type: c.typ, at: at}); got != c.want {
			t.Errorf("record %d, of type %s: taken %v, want %v", i, c.typ, got, c.want)
		}
	}
}

// A line is taken when its end is there, also from a file that takes the place
// of another.
func TestRecordFileFollows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	f := recordFile{path: path}
	defer f.close()
	read := func(wantReplaced bool) string {
		t.Helper()
		replaced, err := f.open()
		if err != nil || replaced != wantReplaced {
			t.Fatalf("open: %v, %v", replaced, err)
		}
		var lines []string
		for {
			line, err := f.next()
			if errors.Is(err, io.EOF) {
				return strings.Join(lines, "|")
			}
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, string(line))
		}
	}
	expect := func(replaced bool, want string) {
		t.Helper()
		if got := read(replaced); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	write := func(flag int, text string) {
		t.Helper()
		w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|flag, 0o600)
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("y", 300<<10)
	expect(false, "")
	write(os.O_APPEND, "a\nb\npar")
	expect(false, "a|b")
	write(os.O_APPEND, "t\n\n"+long)
	expect(false, "part|")
	write(os.O_APPEND, "\nz\n")
	expect(false, long+"|z")
	write(os.O_TRUNC, "new\nhal")
	expect(true, "new")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	expect(false, "")
	write(os.O_APPEND, "other\n")
	expect(true, "other")
}

func TestRecordFilePassesOverALongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("a\n"+strings.Repeat("y", maxRecord+2<<20)+"\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := recordFile{path: path}
	defer f.close()
	if _, err := f.open(); err != nil {
		t.Fatal(err)
	}
	var got []string
	var long *longRecordError
	for {
		line, err := f.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.As(err, &long) {
			line = []byte("long")
		}
		got = append(got, string(line))
	}
	if want := "a long b"; strings.Join(got, " ") != want {
		t.Errorf("got %.40q, want %s", got, want)
	}
}

// What was printed of a file is not printed again of the one that replaces it.
func TestReplacedTranscriptIsNotRepeated(t *testing.T) {
	var buf bytes.Buffer
	p := newLogPrinter(newPrinter(&buf, false), &logsOptions{all: true})
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

// What a tool is called and asked is one line, and nothing that somebody says
// begins one.
func TestNobodySpeaksForOthersInATranscript(t *testing.T) {
	var buf bytes.Buffer
	p := newLogPrinter(newPrinter(&buf, false), &logsOptions{all: true})
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
