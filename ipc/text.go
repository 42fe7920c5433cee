package ipc

import (
	"slices"
	"strings"
	"unicode/utf8"

	"iris/config/sys"
)

const hexDigits = "0123456789abcdef"

// QuoteString appends s as a JSON string. It also escapes characters that control a
// terminal, and leaves <, > and & as they are. Invalid UTF-8 becomes U+FFFD, as in
// encoding/json.
func QuoteString(dst []byte, s string) []byte {
	dst = slices.Grow(dst, len(s)+len(s)/8+2) // do not copy a long text while it grows
	dst = append(dst, '"')
	from := 0 // of the text not yet appended
	for i, r := range s {
		broken := r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD")
		if !broken && r != '"' && r != '\\' && !sys.Steers(r) {
			continue
		}
		dst = appendEscape(append(dst, s[from:i]...), r)
		from = i + 1
		if !broken {
			from = i + utf8.RuneLen(r)
		}
	}
	return append(append(dst, s[from:]...), '"')
}

func appendEscape(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
