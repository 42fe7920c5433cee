package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

var texts = []string{
	"", "plain", `"quoted" and \ back`, "a\nb\tc\rd\x00e\x1ff", "<b>&amp;</b>", "äöü €", "\U0001F600 and more text behind it",
	"\x7f\u0080\u009b31m\u009f\u00a0", "\u2028\u2029\u202a\u202e\u2066\u2069\u200e\u200f", "\u200d\u202f\u2065\u206a\ufeff",
	"\xff\xfe", "a\xc3", "\xed\xa0\x80", "\ufffd", strings.Repeat("0123456789abcde\n", 5000), strings.Repeat("x", 100_000) + "\x9b",
	"\n" + strings.Repeat("y", 20_000), "1234567\"", "12345678\"", "123456\\\x7f", "1234567\x80",
}

func TestQuoteString(t *testing.T) {
	for _, s := range texts {
		checkQuote(t, s)
	}
	for r := rune(0); r < 0x3000; r++ {
		quoted := QuoteString(nil, string(r))
		terminal := r < ' ' || r >= 0x7f && r <= 0x9f || strings.ContainsRune("\u2028\u2029\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", r)
		if got := bytes.ContainsRune(quoted[1:len(quoted)-1], r); got == terminal && r != '"' && r != '\\' {
			t.Errorf("%U: got %s, escaped should be %v", r, quoted, terminal)
		}
	}
	if got := string(QuoteString([]byte("x="), "<a&b>\n\u202e")); got != `x="<a&b>\n\u202e"` {
		t.Errorf("got %s", got)
	}
}

// checkQuote holds QuoteString and UnquoteTo to encoding/json.
func checkQuote(t *testing.T, s string) {
	t.Helper()
	quoted := QuoteString(nil, s)
	var got, want string
	if err := json.Unmarshal(quoted, &got); err != nil {
		t.Fatalf("%q: %s is not JSON: %v", s, quoted, err)
	}
	theirs, _ := json.Marshal(s)
	if err := json.Unmarshal(theirs, &want); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("%q: got %q, encoding/json %q", s, got, want)
	}
	if utf8.ValidString(s) && got != s {
		t.Errorf("%q: got %q", s, got)
	}
	checkUnquote(t, quoted)
	checkUnquote(t, theirs)
}

func checkUnquote(t *testing.T, raw []byte) {
	t.Helper()
	var want string
	err := json.Unmarshal(raw, &want)
	var got bytes.Buffer
	if goterr := UnquoteTo(&got, raw); (goterr == nil) != (err == nil) {
		t.Fatalf("%s: got error %v, encoding/json %v", raw, goterr, err)
	}
	if err == nil && got.String() != want {
		t.Errorf("%s: got %q, want %q", raw, got.String(), want)
	}
}

func TestUnquoteTo(t *testing.T) {
	for _, raw := range []string{
		`""`, ` "a" `, `null`, ` null`, `nul`, `"`, `"a`, `"a\"`, `"a\`, `"\x"`, `"\u12"`, `"\u123g"`, "\"\n\"", `"a"b`, `1`, `{}`, ``, `a`,
		`"\"\\\/\b\f\n\r\t\u0041\u00e4\u20AC"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00"`, `"\ud83d\u0041"`, `"\ud83dx"`, `"\ud83d\n"`,
		`"\ud83d\ud83d\ude00"`, `"\ud83d\`, `"\ud83d\u"`, `"\ud83d\ude0"`, "\"\xff\xc3\xed\xa0\x80\"", "\"\ufffd\"", "\"\u2028\x7f\"",
	} {
		checkUnquote(t, []byte(raw))
	}
}

type brokenWriter struct{ left int }

var errBroken = errors.New("broken")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestUnquoteToEndsWithItsWriter(t *testing.T) {
	raw := QuoteString(nil, strings.Repeat("some\ntext ", 100_000))
	for _, left := range []int{0, 100, 50_000, 500_000} {
		if err := UnquoteTo(&brokenWriter{left}, raw); !errors.Is(err, errBroken) {
			t.Errorf("after %d bytes: got %v", left, err)
		}
	}
}

func TestUnquoteToHoldsLittle(t *testing.T) {
	raw := QuoteString(nil, strings.Repeat("0123456789abcdef\n", 1<<16))
	var n counter
	allocated := testing.AllocsPerRun(2, func() {
		if err := UnquoteTo(&n, raw); err != nil {
			t.Fatal(err)
		}
	})
	if n.largest > unquoteBuffer+4 || allocated > 100 {
		t.Errorf("writes of up to %d bytes, %v allocations for %d bytes", n.largest, allocated, len(raw))
	}
}

type counter struct{ largest int }

func (c *counter) Write(p []byte) (int, error) {
	c.largest = max(c.largest, len(p))
	return len(p), nil
}
