package terminal

import (
	"bufio"
	"fmt"
	"io"
)

// Table writes aligned columns, the header first. Whatever a cell contains stays on
// its line and in its column.
func Table(w io.Writer, header []string, rows [][]string) error {
	widths := widthsOf(header, rows)
	buf := bufio.NewWriter(w)
	printRow(buf, header, widths)
	for _, row := range rows {
		shown := make([]string, len(row))
		for i, cell := range row {
			shown[i] = orDash(Escape(cell))
		}
		printRow(buf, shown, widths)
	}
	return buf.Flush()
}

// printRow pads all cells but the last one, and leaves two columns between them.
func printRow(buf *bufio.Writer, row []string, widths []int) {
	last := len(row) - 1
	for i, cell := range row[:last] {
		buf.WriteString(cell)
		for range widths[i] - Cells(cell) + 2 {
			buf.WriteByte(' ')
		}
	}
	buf.WriteString(row[last])
	buf.WriteByte('\n')
}

// widthsOf returns the widths of the columns.
func widthsOf(header []string, rows [][]string) []int {
	widths := make([]int, len(header))
	for i, title := range header {
		widths[i] = Cells(title)
		for _, row := range rows {
			widths[i] = max(widths[i], Cells(orDash(Escape(row[i]))))
		}
	}
	return widths
}

// FitTable is Table, and on a terminal cuts the last column so that no line wraps.
func FitTable(w io.Writer, header []string, rows [][]string) error {
	Fit(Width(w, 0), header, rows)
	return Table(w, header, rows)
}

// LeastText is the least width of the last column.
const LeastText = 16

// Fit cuts the last column of a table so that its lines have that width; 0 means no
// limit.
func Fit(width int, header []string, rows [][]string) {
	if width == 0 {
		return
	}
	last := len(header) - 1
	for _, other := range widthsOf(header, rows)[:last] {
		width -= other + 2
	}
	for _, row := range rows {
		row[last] = Clip(Escape(row[last]), max(width, LeastText))
	}
}

// Fields writes one name and value a line, values aligned.
func Fields(w io.Writer, fields [][2]string) error {
	width := 0
	for _, f := range fields {
		width = max(width, len(f[0]))
	}
	buf := bufio.NewWriter(w)
	for _, f := range fields {
		fmt.Fprintf(buf, "%-*s  %s\n", width+1, f[0]+":", orDash(Escape(f[1])))
	}
	return buf.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
