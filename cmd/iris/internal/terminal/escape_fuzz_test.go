package terminal

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"iris/config/sys"
)

// FuzzEscape checks that nothing gets through, that how a text is cut into
// writes makes no difference, and that escaping twice is escaping once.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"a\r\nb", "\x1b[31m", "\u009b", "\xc2", "\xe2\x80", "\u202e", "\r"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, s string, size int) {
		size = max(1, size%7+1)
		line := Escape(s)
		if strings.ContainsFunc(line, sys.Steers) || !utf8.ValidString(line) {
			t.Errorf("Escape(%q) = %q", s, line)
		}
		if again := Escape(line); again != line {
			t.Errorf("twice: %q, once: %q", again, line)
		}
		text := written(t, formText, s, size)
		if whole := written(t, formText, s, len(s)+1); text != whole {
			t.Errorf("in pieces of %d: %q, whole: %q", size, text, whole)
		}
		rest := strings.NewReplacer("\r\n", "", "\n", "", "\t", "").Replace(text)
		if strings.ContainsFunc(rest, sys.Steers) || !utf8.ValidString(text) {
			t.Errorf("text %q became %q", s, text)
		}
	})
}

// FuzzJSONForm checks that JSON, ours and that of others, stays equal JSON
// however it is cut, and that nothing in it steers a terminal.
func FuzzJSONForm(f *testing.F) {
	for _, s := range []string{"\x1b]52;c;eA==\x07", "\u009b31m\x7f", "\u202egnp.exe\u2066", `{"a":"` + "\u009b\u2028\\u001b" + `"}`, "[1,\r\n\t\"\u061c\"]", "\xff"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, s string, size int) {
		size = max(1, size%7+1)
		checkJSON(t, "a value", s, func() string {
			var buf bytes.Buffer
			if err := JSON(&buf, s); err != nil {
				t.Fatal(err)
			}
			return buf.String()
		}())
		if json.Valid([]byte(s)) && utf8.ValidString(s) {
			var want any
			if err := json.Unmarshal([]byte(s), &want); err != nil {
				return // nested too deep
			}
			checkJSON(t, "a line", want, written(t, formJSON, s, size))
		}
		if got, whole := written(t, formJSON, s, size), written(t, formJSON, s, len(s)+1); got != whole {
			t.Errorf("in pieces of %d: %q, whole: %q", size, got, whole)
		}
	})
}

// checkJSON checks that text is harmless JSON of that value.
func checkJSON(t *testing.T, what string, want any, text string) {
	t.Helper()
	if s, ok := want.(string); ok {
		want = string([]rune(s)) // each bad byte is a replacement to the encoder, too
	}
	var got any
	if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %#v, %v, want %#v", what, got, err, want)
	}
	if rest := strings.NewReplacer("\r", "", "\n", "", "\t", "").Replace(text); strings.ContainsFunc(rest, sys.Steers) {
		t.Errorf("%s: %q gets through", what, text)
	}
}
