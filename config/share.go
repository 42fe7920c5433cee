package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Share is an amount of memory: bytes, or a part of what there is. The zero Share is no
// limit.
type Share struct {
	Bytes   int64
	Percent int // 0 if Bytes counts
}

// Of returns the amount in bytes, where total is all there is; 0 for no limit, which is
// also the part of an unknown total.
func (s Share) Of(total int64) int64 {
	if s.Percent == 0 {
		return s.Bytes
	}
	return total / 100 * int64(s.Percent)
}

// String returns the form of the configuration.
func (s Share) String() string {
	if s.Percent == 0 {
		return shortSize(s.Bytes)
	}
	return strconv.Itoa(s.Percent) + "%"
}

// readShare reads a size, or a whole number of percent.
func (k *key) readShare(v *value) (any, string) {
	digits, percent := strings.CutSuffix(v.str, "%")
	if v.kind == unstable.String && percent {
		n, err := strconv.ParseUint(digits, 10, 8)
		if err != nil || n < 1 || n > 100 {
			return nil, `must be a whole percentage from "1%" to "100%"` + k.orZero()
		}
		return Share{Percent: int(n)}, ""
	}
	n, rule := k.readSize(v)
	switch bytes, ok := n.(int64); {
	case ok:
		return Share{Bytes: bytes}, ""
	case strings.HasPrefix(rule, "must be a size"):
		return nil, fmt.Sprintf(`must be a size such as "8GiB", a percentage such as "60%%"%s`, k.orZero())
	}
	return nil, rule
}
