package transcript

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The end of the turn before does not belong to the turn, even in the same
// millisecond.
func TestATurnBeginsWithItsPrompt(t *testing.T) {
	since := time.Date(2026, 11, 25, 21, 21, 43, 484_900_000, time.UTC)
	at := since.Truncate(time.Millisecond)
	p := Part{Since: &since}
	for i, c := range []struct {
		typ  string
		want bool
	}{{"assistant", false}, {"user", true}, {"assistant", true}} {
		if got := p.Takes(&Record{Type: c.typ, At: at}); got != c.want {
			t.Errorf("record %d, of type %s: taken %v, want %v", i, c.typ, got, c.want)
		}
	}
}

// A line is taken when its end is there, also from a file that takes the place
// of another.
func TestReaderFollows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	f := Reader{path: path}
	defer f.Close()
	read := func(wantReplaced bool) string {
		t.Helper()
		replaced, err := f.Open()
		if err != nil || replaced != wantReplaced {
			t.Fatalf("open: %v, %v", replaced, err)
		}
		var lines []string
		for {
			line, err := f.Next()
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

func TestReaderPassesOverALongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("a\n"+strings.Repeat("y", maxRecord+2<<20)+"\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := Reader{path: path}
	defer f.Close()
	if _, err := f.Open(); err != nil {
		t.Fatal(err)
	}
	var got []string
	var long *LongLineError
	for {
		line, err := f.Next()
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
