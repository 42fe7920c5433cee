package sys

// Steers reports whether r controls a terminal: the control characters of ASCII and
// of Latin-1 (where 0x9b alone begins a command), the marks that change the direction
// of writing, and the separators that some programs take for the end of a line.
// Characters without a width are not among them: they move nothing, and scripts and
// emoji need them.
func Steers(r rune) bool {
	switch {
	case r < ' ', 0x7f <= r && r <= 0x9f:
		return true
	case r < 0x61c:
		return false
	case r == 0x61c, r == 0x200e, r == 0x200f, r == 0x2028, r == 0x2029:
		return true
	}
	return 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}
