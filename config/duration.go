package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration is time.ParseDuration that also takes a whole number of days at the
// beginning: "35d", "1d12h". A day has 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	const day = 24 * time.Hour
	n, err := strconv.ParseUint(days, 10, 63)
	if err != nil || n > uint64(math.MaxInt64/day) {
		return 0, errors.New("not a number of days: " + strconv.Quote(days))
	}
	var d time.Duration
	if rest != "" {
		d, err = time.ParseDuration(rest)
	}
	whole := time.Duration(n) * day
	if err != nil || d < 0 || d >= day || whole > math.MaxInt64-d {
		return 0, errors.New("not a part of a day: " + strconv.Quote(rest))
	}
	return whole + d, nil
}
