package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// maxWait bounds a wait to what a duration can hold with ease.
const maxWait = 365 * 24 * time.Hour

// seconds is a flag for a duration: "90s", "10m", or a bare number of seconds.
type seconds time.Duration

func (s *seconds) Set(text string) error {
	if n, err := strconv.Atoi(text); err == nil && n < int(maxWait/time.Second) {
		text = strconv.Itoa(n) + "s"
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return errors.New("write it like 90s, 10m or 1h30m")
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
