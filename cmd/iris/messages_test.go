package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) *time.Time { m := noon.Add(-d); return &m }

func TestMessagesFitTheTerminal(t *testing.T) {
	var rows [][]string
	for _, m := range []ipc.Message{
		{ID: "01m848j1qq28fxdd", Team: "api", State: "done", Accepted: noon, Started: before(time.Hour), Ended: before(0), Outcome: "success", CostUSD: 1.234},
		{ID: "01m848j1qq28fxde", Team: "api", Session: "review", State: "cancelled", Accepted: *before(time.Minute), Ended: before(0), Error: "team api@review: cancelled by\nsomebody"},
		{ID: "01m848j1qq28fxdf", Team: "/home/me/x", State: "running", Accepted: *before(time.Hour), Started: before(12 * time.Second)},
		{ID: "01m848j1qq28fxdg", Team: "api", State: "queued", Accepted: *before(50 * time.Hour)},
		{ID: "01m848j1qq28fxdh", Team: "api", State: "failed", Accepted: noon, Started: before(0), Ended: before(0), Outcome: "api-error", CostUSD: 0.001},
		{ID: "01m848j1qq28fxdi", Team: "api", State: "failed", Accepted: noon, Error: strings.Repeat("long ", 20)},
		{ID: "01m848j1qq28fxdj", Team: "api", State: "failed", Accepted: noon, Outcome: "failed"},
	} {
		rows = append(rows, messageRow(&m, noon, "/home/me"))
	}
	terminal.Fit(terminal.Columns, messageHeader, rows)
	var buf bytes.Buffer
	if err := terminal.Table(&buf, messageHeader, rows); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(`
ID                STATE      TEAM        SENT     TOOK  COST    OUTCOME
01m848j1qq28fxdd  done       api         now      60m   $1.23   -
01m848j1qq28fxde  cancelled  api@review  60s ago  -     -       cancelled by\...
01m848j1qq28fxdf  running    ~/x         60m ago  12s   -       -
01m848j1qq28fxdg  queued     api         2d ago   -     -       -
01m848j1qq28fxdh  failed     api         now      0s    <$0.01  api-error
01m848j1qq28fxdi  failed     api         now      -     -       long long lon...
01m848j1qq28fxdj  failed     api         now      -     -       -
`, "\n")
	if got := buf.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for line := range strings.Lines(buf.String()) {
		if len(line)-1 > terminal.Columns {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}

// manyMessages answers message.list from so many messages, of which some records
// are damaged.
func manyMessages(n int, limits *[]int, damaged ...string) ipc.Handler {
	return func(_ context.Context, c *ipc.Call) (any, error) {
		var p ipc.MessageQuery
		if err := c.Bind(&p); err != nil {
			return nil, err
		}
		*limits = append(*limits, p.Limit)
		newest := n
		if p.Before != "" {
			fmt.Sscanf(p.Before, "m%d", &newest)
			newest--
		}
		list := ipc.MessageList{More: newest > p.Limit}
		for i := newest; i > max(0, newest-p.Limit); i-- {
			list.Messages = append(list.Messages, ipc.Message{ID: fmt.Sprintf("m%d", i), Accepted: noon})
		}
		if !list.More {
			list.Damaged = damaged
		}
		return list, nil
	}
}

func TestMessagesPages(t *testing.T) {
	for _, c := range []struct {
		limit  uint64
		limits []int
		lines  int
		status int
	}{
		{50, []int{50}, 50, 0},
		{1000, []int{1000}, 1000, 0},
		{2200, []int{1000, 1000, 200}, 2200, 0},
		{9999, []int{1000, 1000, 1000}, 2500, 1},
		{0, []int{1000, 1000, 1000}, 2500, 1},
	} {
		var limits []int
		_, g := newStub(t, map[string]ipc.Handler{ipc.MethodMessages: manyMessages(2500, &limits, "m0: damaged")})
		var stdout, stderr strings.Builder
		err := runMessages(t.Context(), &messagesOptions{globals: g, limit: c.limit, quiet: true}, nil, streams{nil, &stdout, &stderr})
		if status(err) != c.status || (c.status == 1) != (stderr.String() == "iris: m0: damaged\n") {
			t.Errorf("limit %d: got %v and %s", c.limit, err, &stderr)
		}
		if n := strings.Count(stdout.String(), "\n"); n != c.lines || !slices.Equal(limits, c.limits) {
			t.Errorf("limit %d: got %d lines by %v, want %d by %v", c.limit, n, limits, c.lines, c.limits)
		}
	}
}

func TestFilterOfMessages(t *testing.T) {
	for arg, want := range map[string]string{"": "any ", "api": "any api", "api@s": "s api"} {
		_, g := newStub(t, map[string]ipc.Handler{ipc.MethodMessages: func(_ context.Context, c *ipc.Call) (any, error) {
			var p ipc.MessageQuery
			if err := c.Bind(&p); err != nil {
				return nil, err
			}
			session := "any"
			if p.Session != nil {
				session = *p.Session
			}
			if got := session + " " + p.Team; got != want || len(p.States) != 2 || time.Since(p.Since).Round(time.Hour) != 2*time.Hour {
				t.Errorf("got %+v, want %s", p, want)
			}
			return ipc.MessageList{}, nil
		}})
		opts := messagesOptions{globals: g, states: []string{"queued", "running"}}
		if err := opts.since.Set("2h"); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr strings.Builder
		if err := runMessages(t.Context(), &opts, slices.DeleteFunc([]string{arg}, func(s string) bool { return s == "" }), streams{nil, &stdout, &stderr}); err != nil {
			t.Error(err)
		}
	}
}

func TestMoments(t *testing.T) {
	for text, want := range map[string]time.Time{
		"90m":                  noon.Add(-90 * time.Minute),
		"7d":                   noon.Add(-7 * 24 * time.Hour),
		"0s":                   noon,
		"2026-11-01":           time.Date(2026, 11, 1, 0, 0, 0, 0, time.Local),
		"2026-11-01T02:00:00Z": time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC),
	} {
		var m moment
		if err := m.Set(text); err != nil || !m.at(noon).Equal(want) || m.String() != text {
			t.Errorf("%s: got %v, %v, want %v", text, m.at(noon), err, want)
		}
	}
	for _, text := range []string{"", "soon", "-1h", "7", "xd", "-1d", "2026-13-01"} {
		if err := new(moment).Set(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	if got := new(moment).at(noon); !got.IsZero() {
		t.Errorf("no flag means %v", got)
	}
}

func TestWords(t *testing.T) {
	var states []string
	f := wordsFlag(&states, messageStates)
	if err := f.Set("queued,running"); err != nil || f.Set("done") != nil || !slices.Equal(states, messageStates[:3]) {
		t.Errorf("got %v, %v", states, err)
	}
	if err := f.Set("queued,,done"); err == nil || err.Error() != "each must be queued, running, done, failed, cancelled, expired or unknown" {
		t.Errorf("got %v", err)
	}
	var word string
	if err := wordFlag(&word, busyWords).Set("x"); err == nil || err.Error() != "it must be wait, skip or fail" {
		t.Errorf("got %v", err)
	}
}

func TestEverythingOfAMessageIsShown(t *testing.T) {
	m := ipc.Message{
		ID: "m2", Team: "api", Session: "s", State: "unknown", Accepted: noon, Started: before(0), Ended: before(0),
		Outcome: "none", Error: "the agent\ndied", CostUSD: 0.0123456, Key: "k", Deadline: before(0), RetryOf: "m1", Attempts: 2, Bytes: 2048,
		SessionID: "u-u", Dir: "/src/api", Transcript: "/t.jsonl", Process: "p1", Position: 3, Fresh: true, OnUnknown: "hold", Origin: "cron",
		Usage:   &ipc.Usage{Input: 1, Output: 2, CacheRead: 3, CacheWrite: 4},
		History: []ipc.Change{{State: "queued", At: noon}, {State: "done", At: noon, By: "me", Note: "seen"}},
	}
	var buf bytes.Buffer
	if err := terminal.Fields(&buf, messageFields(&m, noon)); err != nil {
		t.Fatal(err)
	}
	at := noon.Local().Format("2006-01-02 15:04:05.000")
	want := strings.ReplaceAll(strings.TrimPrefix(`
id:          m2
team:        api@s
state:       unknown, number 3 of its conversation
outcome:     none
error:       the agent\x0adied
accepted:    AT
started:     AT
ended:       AT
took:        0s
attempts:    2
cost:        $0.0123456
tokens:      1 in, 2 out, 3 read from the cache, 4 written to it
text:        2.0 KiB
key:         k
deadline:    AT
on unknown:  hold
fresh:       in a conversation of its own
origin:      cron
retry of:    m1
process:     p1
session id:  u-u
dir:         /src/api
transcript:  /t.jsonl
history:     AT  queued
history:     AT  done, by me: seen
`, "\n"), "AT", at)
	if got := buf.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
