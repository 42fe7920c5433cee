package main

import (
	"fmt"
	"strconv"
	"time"
)

// span is a duration in one unit.
func span(d time.Duration) string { return plural(rough(d)) }

// short is span for a column of a table: "41s", "3m", "2h" or "5d".
func short(d time.Duration) string {
	n, unit := rough(d)
	return strconv.Itoa(int(n)) + unit[:1]
}

// rough rounds a duration to the usual unit.
func rough(d time.Duration) (n time.Duration, unit string) {
	d = max(d, 0)
	switch {
	case d < 90*time.Second:
		return d.Round(time.Second) / time.Second, "second"
	case d < 90*time.Minute:
		return d.Round(time.Minute) / time.Minute, "minute"
	case d < 48*time.Hour:
		return d.Round(time.Hour) / time.Hour, "hour"
	}
	return d / (24 * time.Hour), "day"
}

func plural[N ~int | ~int64](n N, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.FormatInt(int64(n), 10) + " " + unit + "s"
}

// ago is how long before now t was; "never" for nil.
func ago(now time.Time, t *time.Time) string {
	switch {
	case t == nil:
		return "never"
	case now.Sub(*t) < time.Second:
		return "now"
	}
	return short(now.Sub(*t)) + " ago"
}

// in is how long after now t is; "never" for nil.
func in(now time.Time, t *time.Time) string {
	switch {
	case t == nil:
		return "never"
	case t.Sub(now) < time.Second:
		return "now"
	}
	return "in " + short(t.Sub(now))
}

// size is a number of bytes in three digits; "" for 0.
func size(n int64) string {
	const units = "KMGTPE"
	if n <= 0 {
		return ""
	}
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	if f < 10 {
		return fmt.Sprintf("%.1f %ciB", f, units[i])
	}
	return fmt.Sprintf("%.0f %ciB", f, units[i])
}
