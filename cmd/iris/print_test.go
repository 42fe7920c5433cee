package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

func TestSpansAreSaidInOneUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:            "0 seconds",
		0:                       "0 seconds",
		time.Second:             "1 second",
		89 * time.Second:        "89 seconds",
		90 * time.Second:        "2 minutes",
		5*time.Minute - 1:       "5 minutes",
		89 * time.Minute:        "89 minutes",
		100 * time.Minute:       "2 hours",
		47 * time.Hour:          "47 hours",
		48 * time.Hour:          "2 days",
		400 * 24 * time.Hour:    "400 days",
		1499 * time.Millisecond: "1 second",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
		n, unit, _ := strings.Cut(want, " ")
		if got, want := short(d), n+unit[:1]; got != want {
			t.Errorf("short(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestMomentsAreSaidRelativeToNow(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *time.Time { m := now.Add(d); return &m }
	for _, c := range []struct{ got, want string }{
		{ago(now, nil), "never"},
		{ago(now, at(0)), "now"},
		{ago(now, at(time.Hour)), "now"},
		{ago(now, at(-3*time.Minute)), "3m ago"},
		{in(now, nil), "never"},
		{in(now, at(-time.Hour)), "now"},
		{in(now, at(4*time.Minute)), "in 4m"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestSizesHaveThreeDigits(t *testing.T) {
	for n, want := range map[int64]string{
		-1: "", 0: "", 1: "1 B", 1023: "1023 B", 1024: "1.0 KiB", 10 << 10: "10 KiB",
		1023 << 10: "1.0 MiB", 312 << 20: "312 MiB", 1536 << 20: "1.5 GiB", 1 << 62: "4.0 EiB",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestProcessRows(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	used, until := now.Add(-3*time.Minute), now.Add(2*time.Minute)
	turn := now.Add(-12 * time.Second)
	var rows [][]string
	for _, p := range []ipc.Process{
		{
			Team: "api", State: "idle", PID: 4711, Messages: 12, LastUsed: &used, Until: &until,
			Uptime: 3_600_000, Memory: 312 << 20, Why: "new: CLAUDE.md",
		},
		{
			Team: "api", Session: "review", State: "busy", PID: 4194303, Messages: 1234, Queue: 1000, LastUsed: &used, TurnSince: &turn,
			Uptime: 240_000, Memory: 1023 << 10, Why: "restart",
		},
		{Team: "docs", State: "idle", PID: 4711, LastUsed: &used, Why: "never: idle"},
		{Team: "/home/me/a b\n", State: "starting", Why: "message"},
		{Team: "/home/me", Session: "s", State: "starting"},
		{Team: "/home/mean", State: "starting"},
	} {
		rows = append(rows, processRow(p, now, "/home/me"))
	}
	var buf bytes.Buffer
	if err := terminal.Table(&buf, processHeader, rows); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(`
NAME        STATE     PID      MSGS  QUEUE  MEMORY   UP   USED    UNTIL  WHY
api         idle      4711     12    0      312 MiB  60m  3m ago  in 2m  new: CLAUDE.md
api@review  busy 12s  4194303  1234  1000   1.0 MiB  4m   now     -      restart
docs        idle      4711     0     0      -        0s   3m ago  never  idle
~/a b\x0a   starting  -        0     0      -        0s   never   -      message
~@s         starting  -        0     0      -        0s   never   -      -
/home/mean  starting  -        0     0      -        0s   never   -      -
`, "\n")
	if got := buf.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if at := strings.Index(want, "WHY"); at > 74 {
		t.Errorf("%d columns of 80 are used up by the rest", at)
	}
}
