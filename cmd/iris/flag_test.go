package main

import "testing"

func TestWaitsAreSaidAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]string{
		"500ms": "500ms", "10": "10s", "10s": "10s", "90s": "1m30s", "10m": "10m", "2h": "2h", "1h30m": "1h30m", "100m": "1h40m", "1d": "24h", "1d12h": "36h",
	} {
		var s seconds
		if err := s.Set(text); err != nil || s.String() != want {
			t.Errorf("%s: got %q, %v, want %q", text, s.String(), err, want)
		}
	}
}
