package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in the configuration. Line and Col count from 1, Col in
// bytes; both are 0 for a mistake of the whole file. File is empty for a mistake
// outside the files, such as in the environment.
type Problem struct {
	File string
	Line int
	Col  int
	Msg  string
}

// String returns "file:line:col: text", without missing parts.
func (p Problem) String() string {
	switch {
	case p.File == "":
		return p.Msg
	case p.Line == 0:
		return p.File + ": " + p.Msg
	case p.Col == 0:
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Msg)
}

// Problems is the error of an unusable configuration: all its mistakes, in the order
// of files and lines.
type Problems []Problem

// Error returns one problem per line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sort orders by position within a file; files keep the order in which they were
// read, mistakes outside the files come last.
func (ps Problems) sort(files []string) {
	rank := make(map[string]int, len(files))
	for i, f := range files {
		rank[f] = i - len(files)
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(rank[a.File], rank[b.File]),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}
