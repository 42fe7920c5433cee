package ipc

import (
	"bytes"
	"encoding/json"
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
		terminal := r < ' ' || r >= 0x7f && r <= 0x9f || strings.ContainsRune("\u061c\u2028\u2029\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", r)
		if got := bytes.ContainsRune(quoted[1:len(quoted)-1], r); got == terminal && r != '"' && r != '\\' {
			t.Errorf("%U: got %s, escaped should be %v", r, quoted, terminal)
		}
	}
	if got := string(QuoteString([]byte("x="), "<a&b>\n\u202e")); got != `x="<a&b>\n\u202e"` {
		t.Errorf("got %s", got)
	}
}

// checkQuote holds QuoteString to encoding/json.
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
}
