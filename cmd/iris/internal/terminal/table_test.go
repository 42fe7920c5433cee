package terminal

import (
	"bytes"
	"strings"
	"testing"
)

func TestTableIsAlignedByColumns(t *testing.T) {
	var buf bytes.Buffer
	rows := [][]string{{"ünïcödé", "x"}, {"", "y"}, {"請求書", "z"}, {"e\u0301te\u0301 🧾", "漢字"}}
	if err := Table(&buf, []string{"A", "B"}, rows); err != nil {
		t.Fatal(err)
	}
	want := "A        B\nünïcödé  x\n-        y\n請求書   z\ne\u0301te\u0301 🧾   漢字\n"
	if got := buf.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestLastColumnFitsTheTerminal(t *testing.T) {
	header := []string{"NAME", "WHY"}
	for _, text := range []string{strings.Repeat("long ", 20), strings.Repeat("漢字", 40), strings.Repeat("e\u0301", 60), "a\nb" + strings.Repeat("\x9b", 30)} {
		for _, width := range []int{24, 25, 40, 41} {
			rows := [][]string{{"請求", text}}
			Fit(width, header, rows)
			var buf bytes.Buffer
			if err := Table(&buf, header, rows); err != nil {
				t.Fatal(err)
			}
			line := strings.Split(buf.String(), "\n")[1]
			if n := Cells(line); n > width || n < width-1 || !strings.HasSuffix(line, "...") {
				t.Errorf("%d columns of %d: %s", n, width, line)
			}
		}
		rows := [][]string{{"請求", text}}
		if Fit(0, header, rows); rows[0][1] != text {
			t.Errorf("without a limit there is %q", rows[0][1])
		}
	}
}

func TestCells(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "abc": 3, "é": 1, "e\u0301": 1, "漢字": 4, "ｶﾅ": 2, "한글": 4, "🎉": 2, "⚡": 2, "✓": 1, "…": 1, "→": 1, "👩\u200d🚀": 4, "שלום": 4, "ไทย": 3, "น้ำ": 2,
	} {
		if got := Cells(text); got != want {
			t.Errorf("%q has %d columns, want %d", text, got, want)
		}
	}
	for width, want := range []string{"", "a", "a", "a漢", "a漢e\u0301", "a漢e\u0301x"} {
		if got := cut("a漢e\u0301x", width); got != want {
			t.Errorf("%d columns: %q, want %q", width, got, want)
		}
	}
}
