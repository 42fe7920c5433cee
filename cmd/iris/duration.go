package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"iris/config"
)

// maxWait bounds a wait to what a duration can hold with ease.
const maxWait = 365 * 24 * time.Hour

// seconds is a flag for a duration: "90s", "10m", "2d", or a bare number of seconds.
type seconds time.Duration

func (s *seconds) Set(text string) error {
	if n, err := strconv.Atoi(text); err == nil && n < int(maxWait/time.Second) {
		text = strconv.Itoa(n) + "s"
	}
	d, err := config.ParseDuration(text)
	switch {
	case err != nil:
		return errors.New("write it like 90s, 1h30m or 2d")
	case d <= 0:
		return errors.New("it must be more than 0; leave it out to wait without limit")
	case d > maxWait:
		return errors.New("it must be at most a year; leave it out to wait without limit")
	}
	*s = seconds(d)
	return nil
}

func (s *seconds) String() string {
	if *s == 0 {
		return ""
	}
	text := time.Duration(*s).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func (s *seconds) Type() string { return "TIME" }

// A moment is a flag for a time in the past: how long ago it was, as in "90m" or
// "7d", a day, or a time with its zone.
type moment struct {
	text string
	date time.Time
	ago  time.Duration // before now, when date is not set
}

func (m *moment) Set(text string) error {
	var err error
	if m.ago, err = parseAgo(text); err == nil {
		m.text, m.date = text, time.Time{}
		return nil
	}
	if m.date, err = time.ParseInLocation(time.DateOnly, text, time.Local); err != nil {
		m.date, err = time.Parse(time.RFC3339, text)
	}
	if err != nil {
		return errors.New("write it like 90m, 7d, 2026-11-23 or 2026-11-23T18:00:00Z")
	}
	m.text = text
	return nil
}

func parseAgo(text string) (time.Duration, error) {
	d, err := config.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("in the future")
	}
	return d, err
}

// at returns the time that is meant; zero for none.
func (m *moment) at(now time.Time) time.Time {
	if m.text == "" || !m.date.IsZero() {
		return m.date
	}
	return now.Add(-m.ago)
}

func (m *moment) String() string { return m.text }
func (m *moment) Type() string   { return "TIME" }
