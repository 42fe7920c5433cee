package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

// goneShown is how many agents of a team "iris why" prints.
const goneShown = 10

// duration is a number of milliseconds in words, with more digits than span.
func duration(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case d < time.Second:
		return strconv.FormatInt(ms, 10) + " ms"
	case d < 90*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " seconds"
	}
	return span(d)
}

func printWhyMessage(w io.Writer, m *ipc.WhyMessage) error {
	now := time.Now()
	fields := [][2]string{
		{"message", m.ID + " to " + tilde(ipc.Name(m.Team, m.Session), os.Getenv("HOME"))},
		{"accepted", stamp(&m.Accepted)},
		{"state", whyState(m)},
	}
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, [2]string{name, value})
		}
	}
	for _, on := range m.WaitsFor {
		add("waits for", on)
	}
	add("no agent", brokenText(m.Broken))
	if m.Deadline != nil && m.Ended == nil {
		add("expires", in(now, m.Deadline)+" unless its turn has begun")
	}
	for i := range m.Attempts {
		title := "attempt"
		if len(m.Attempts) > 1 {
			title += " " + strconv.Itoa(i+1)
		}
		add(title, attemptText(&m.Attempts[i]))
	}
	add("ended", stamp(m.Ended))
	add("cost", exactly(m.CostUSD))
	return terminal.Fields(w, fields)
}

// whyState is the state of a message, with its place in the queue or its end.
func whyState(m *ipc.WhyMessage) string {
	text := m.State
	if m.Position > 0 {
		text += fmt.Sprintf(", number %d of its conversation", m.Position)
	}
	if m.Outcome != "" && m.Outcome != "success" && m.Outcome != m.State {
		text += ", " + m.Outcome
	}
	if m.Error != "" {
		text += ": " + m.Error
	}
	return text
}

// attemptText says how long an attempt waited, and for the start of an agent, and how
// long its turn took.
func attemptText(a *ipc.WhyAttempt) string {
	text := "waited " + duration(a.Waited)
	if a.Began == nil && a.Ended == nil {
		text = "has waited " + duration(a.Waited)
	}
	if a.Start != nil {
		text += ", its agent took " + duration(*a.Start) + " to start"
	}
	switch {
	case a.Began != nil && a.Ended == nil:
		text += "; its turn has run for " + duration(a.Took) + " in " + a.Process
	case a.Began != nil:
		text += "; its turn took " + duration(a.Took) + " in " + a.Process
	case a.Ended != nil:
		text += "; its turn did not begin"
	}
	if a.Ended != nil {
		text += "; then " + a.State
	}
	if a.Note != "" {
		text += ": " + a.Note
	}
	return text
}

// brokenText says that the agents of a conversation do not start; "" for nil.
func brokenText(b *ipc.Broken) string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf("%s in a row failed: %s; next try %s", plural(b.Failures, "start"), b.Error, inMS(b.Retry))
}

// inMS is when a try is that comes so many milliseconds from now.
func inMS(ms int64) string {
	if ms == 0 {
		return "with the next message"
	}
	return "in " + duration(ms)
}

func printWhyTeam(w io.Writer, t *ipc.WhyTeam) error {
	if err := terminal.Fields(w, whyTeamFields(t)); err != nil || len(t.Gone) == 0 {
		return err
	}
	fmt.Fprintln(w)
	now, home := time.Now(), os.Getenv("HOME")
	var rows [][]string
	for i := range t.Gone[:min(goneShown, len(t.Gone))] {
		rows = append(rows, whyGoneRow(&t.Gone[i], now, home))
	}
	header := []string{"NAME", "WENT", "TURNS", "AFTER", "START", "CACHED", "WRITTEN", "COST", "WHY"}
	return terminal.FitTable(w, header, rows)
}

// whyTeamFields are the lines about a team, before the table of its agents.
func whyTeamFields(t *ipc.WhyTeam) (fields [][2]string) {
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, [2]string{name, value})
		}
	}
	home := os.Getenv("HOME")
	for i := range t.Live {
		p := &t.Live[i]
		add("agent", liveText(p, home))
	}
	if len(t.Live) == 0 {
		add("agent", "none")
	}
	if t.Queued > 0 {
		add("queue", plural(t.Queued, "message")+", the first waits for "+cmp.Or(t.WaitsFor, "its turn"))
	}
	for i := range t.Broken {
		b := &t.Broken[i]
		add("no agent", tilde(ipc.Name(b.Team, b.Session), home)+": "+brokenText(b))
	}
	add("went", fmt.Sprintf("%s in %s", plural(len(t.Gone), "agent"), span(time.Since(t.Since))))
	for _, r := range t.Reasons {
		add("why", fmt.Sprintf("%s: %s", plural(r.Times, "time"), r.Why))
	}
	if t.Back.Times > 0 {
		add("came back", backText(&t.Back))
	}
	return fields
}

// liveText is a live agent in one line.
func liveText(p *ipc.Process, home string) string {
	text := tilde(ipc.Name(p.Team, p.Session), home) + " is " + p.State
	if p.TurnSince != nil {
		text += " for " + span(time.Since(*p.TurnSince))
	}
	if p.Why != "" {
		text += ", " + p.Why
	}
	return text
}

// backText sums up what it took to come back.
func backText(b *ipc.WhyBack) string {
	text := plural(b.Times, "time") + ", " + duration(b.Start) + " to start"
	if b.CacheWrite > 0 {
		text += fmt.Sprintf("; the first turns wrote %s tokens to the cache", amount(b.CacheWrite))
	}
	if b.CostUSD > 0 {
		text += "; they cost " + dollars(b.CostUSD)
	}
	return text
}

// whyGoneRow is an agent that is gone as a row of the table, with its way back.
func whyGoneRow(g *ipc.GoneAgent, now time.Time, home string) []string {
	row := append(goneRow(g, now, home), "", "", "", "", "", g.Why)
	if b := g.Back; b != nil {
		row[3], row[4] = short(time.Duration(b.After)*time.Millisecond), shortMS(b.Start)
		if b.Message != "" {
			row[5], row[6], row[7] = tokensText(b.Cached), tokensText(b.CacheWrite), dollars(b.CostUSD)
		}
	}
	return row
}

// goneRow is an agent that is gone: its name, when it went, and its turns.
func goneRow(g *ipc.GoneAgent, now time.Time, home string) []string {
	turns := strconv.Itoa(g.Messages)
	if g.Own > 0 {
		turns += "+" + strconv.Itoa(g.Own)
	}
	return []string{tilde(ipc.Name(g.Team, g.Session), home), ago(now, &g.Ended), turns}
}

// shortMS is a number of milliseconds for a column of a table, with a digit more than
// short.
func shortMS(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	if d < 90*time.Second {
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	return short(d)
}

// tokensText is a number of tokens; "" for none.
func tokensText(n int64) string {
	if n == 0 {
		return ""
	}
	return amount(n)
}
