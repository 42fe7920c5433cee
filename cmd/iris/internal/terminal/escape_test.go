package terminal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"iris/config/sys"
)

func TestEscapeMakesOneHarmlessLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"plain text, ünïcödé":   "plain text, ünïcödé",
		"\x1b]52;c;eA==\x07":    `\x1b]52;c;eA==\x07`,
		"a\nb\tc\rd":            `a\x0ab\x09c\x0dd`,
		"\u009b31m":             `\u009b31m`,
		"\x9b31m":               `\x9b31m`,
		"del\x7f":               `del\x7f`,
		"\u202egnp.exe":         `\u202egnp.exe`,
		"\u2066x\u2069":         `\u2066x\u2069`,
		"cut \xe2\x82":          `cut \xe2\x82`,
		"\xff\xfe":              `\xff\xfe`,
		"a\u2028b\u2029c\u0085": `a\u2028b\u2029c\u0085`,
		"👩\u200d💻 نی\u200cم":    "👩\u200d💻 نی\u200cم",
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSafeWriterKeepsLinesAndTabs(t *testing.T) {
	const in = "a\tb\r\nc\rd\x1b[0m €\u009b\r"
	const want = "a\tb\r\nc\\x0dd\\x1b[0m €\\u009b\\x0d"
	for size := 1; size <= len(in); size++ {
		if got := written(t, formText, in, size); got != want {
			t.Fatalf("in writes of %d bytes: got %q, want %q", size, got, want)
		}
	}
}

func TestJSONStaysEqualAndHarmless(t *testing.T) {
	in := "\x1b \u009b \x7f \u202e \u061c < > & \n € " + strings.Repeat("x", 5000)
	var buf bytes.Buffer
	if err := JSON(&buf, map[string]string{"k": in}); err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexFunc(strings.TrimSuffix(buf.String(), "\n"), sys.Steers); i >= 0 {
		t.Errorf("stays at %d: %.60q", i, buf.String()[i:])
	}
	var out map[string]string
	if err := json.Unmarshal(buf.Bytes(), &out); err != nil || out["k"] != in {
		t.Errorf("got %q, %v", out["k"], err)
	}
}

// written passes text through a safeWriter in writes of a size.
func written(t testing.TB, f form, text string, size int) string {
	t.Helper()
	var buf bytes.Buffer
	w := &safeWriter{w: &buf, form: f}
	for rest := []byte(text); len(rest) > 0; {
		n := min(size, len(rest))
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}
