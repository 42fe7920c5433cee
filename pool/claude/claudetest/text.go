package claudetest

import "strings"

// pattern mixes characters of one to four bytes, and those that JSON and
// terminals treat in their own way.
const pattern = "Grüße, 世界 🌍 \"quoted\" \\ <tag> & line\u2028end\n0123456789 ~ żółw\t"

// Text returns n bytes of valid UTF-8, the same for the same n. The stub, the
// fake and the tests make their large answers with it.
func Text(n int) string {
	if n <= 0 {
		return ""
	}
	var b strings.Builder
	b.Grow(n)
	for b.Len()+len(pattern) <= n {
		b.WriteString(pattern)
	}
	for _, r := range pattern {
		if b.Len()+len(string(r)) > n {
			break
		}
		b.WriteRune(r)
	}
	for b.Len() < n {
		b.WriteByte('.')
	}
	return b.String()
}

// chunks cuts text into pieces of about size bytes without splitting a
// character.
func chunks(text string, size int) []string {
	var out []string
	for len(text) > size {
		end := size
		for end > 0 && text[end]&0xc0 == 0x80 {
			end--
		}
		out = append(out, text[:end])
		text = text[end:]
	}
	return append(out, text)
}
