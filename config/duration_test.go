package config

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"1d": day, "35d": 35 * day, "0d": 0, "1d12h": 36 * time.Hour, "2d0h1m30s": 2*day + 90*time.Second,
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "-1s": -time.Second, "0": 0, "106751d": 106751 * day,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "1.5d", "-1d", "+1d", "1d-3h", "1d24h", "1d5", "1dd", "1d1d", "12h1d", "1 d", "1D", "5", "106752d", "106751d23h50m", "99999999999999999999d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}
