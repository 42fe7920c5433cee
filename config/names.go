package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"iris/config/sys"
)

// maxName is how many bytes the name of a team or session may have.
const maxName = 63

const nameRule = `a name is 1 to 63 letters, digits, ".", "_" or "-" and begins with a letter, a digit or "_"`

// CheckName checks a name of that kind ("team", "session"). An allowed name is safe
// as a file name and as an argument.
func CheckName(kind, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s name is empty: %s", kind, nameRule)
	case len(name) > maxName:
		return fmt.Errorf("%s name %q... has %d characters: %s", kind, truncate(name, 20), utf8.RuneCountInString(name), nameRule)
	}
	for i, r := range name {
		if !nameRune(r, i == 0) {
			return fmt.Errorf("%s name %q: %s is not allowed %s: %s", kind, name, quoteRune(name[i:]), place(r, i), nameRule)
		}
	}
	return nil
}

func nameRune(r rune, first bool) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
		return true
	case r == '.', r == '-':
		return !first
	}
	return false
}

func place(r rune, i int) string {
	if i == 0 && nameRune(r, false) {
		return "at the beginning"
	}
	return "in it"
}

// quoteRune quotes the first character of s, or its first byte if that is not UTF-8.
func quoteRune(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return fmt.Sprintf("%q", s[:n])
}

// truncate returns at most the first n bytes of s, without cutting a character in
// two.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// unprintable returns the first character of s, quoted, that would control a
// terminal; empty if there is none.
func unprintable(s string) string {
	for i, r := range s {
		if sys.Steers(r) || r == utf8.RuneError {
			return quoteRune(s[i:])
		}
	}
	return ""
}

// nearest returns the word that was most likely meant by s, or "".
func nearest(s string, words []string) string {
	best, at := "", 1+max(1, len(s)/3)
	for _, w := range words {
		if d := distance(s, w, at); d < at {
			best, at = w, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours
// between a and b; it is at least limit if their lengths already differ that much.
func distance(a, b string, limit int) int {
	if abs(len(a)-len(b)) >= limit {
		return limit
	}
	a, b = strings.ToLower(a), strings.ToLower(b)
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func abs(n int) int { return max(n, -n) }
