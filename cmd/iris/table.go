package main

import (
	"bufio"
	"io"
	"os"

	"golang.org/x/term"
)

// printTable writes aligned columns, the header first. A cell stays on its
// line and in its column whatever is in it.
func printTable(w io.Writer, header []string, rows [][]string) error {
	widths := widthsOf(header, rows)
	buf := bufio.NewWriter(w)
	printRow(buf, header, widths)
	for _, row := range rows {
		shown := make([]string, len(row))
		for i, cell := range row {
			shown[i] = orDash(escape(cell))
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
		for range widths[i] - cells(cell) + 2 {
			buf.WriteByte(' ')
		}
	}
	buf.WriteString(row[last])
	buf.WriteByte('\n')
}

// widthsOf is how wide the columns are.
func widthsOf(header []string, rows [][]string) []int {
	widths := make([]int, len(header))
	for i, title := range header {
		widths[i] = cells(title)
		for _, row := range rows {
			widths[i] = max(widths[i], cells(orDash(escape(row[i]))))
		}
	}
	return widths
}

// leastText is what a table leaves of the last column at least.
const leastText = 16

// fit cuts the last column of a table so that a line has that width. No width is
// no limit.
func fit(width int, header []string, rows [][]string) {
	if width == 0 {
		return
	}
	last := len(header) - 1
	for _, other := range widthsOf(header, rows)[:last] {
		width -= other + 2
	}
	for _, row := range rows {
		row[last] = clip(escape(row[last]), max(width, leastText))
	}
}

// widthOf is that of the terminal that w is, and otherwise what is wanted for
// a pipe or a file.
func widthOf(w io.Writer, otherwise int) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return otherwise
}
