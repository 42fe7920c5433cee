package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
)

func TestSumsAreInOrder(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	for by, want := range map[string][]string{
		"team":    {"a", "b", "c"},
		"session": {"a@", "a@s", "a@~", "b@", "b@s", "b@~", "c@", "c@s", "c@~"},
		"day":     {"03:00", "03:15", "03:30"},
	} {
		u := usageSums{by: by, of: usageKeys[by], sums: map[usageKey]*ipc.UsageSum{}}
		for _, team := range []string{"b", "c", "a"} {
			for i, session := range []string{"s", "~", "", "~"} {
				at := start.Add(time.Duration(40-10*i) * time.Minute).Truncate(journal.Slot)
				u.add(&journal.Sum{Team: team, Session: session, From: at, Messages: 1})
			}
		}
		var got []string
		n := int64(0)
		for _, s := range u.answer().Sums {
			n += int64(s.Messages)
			switch {
			case s.From != nil:
				got = append(got, s.From.UTC().Format("15:04"))
			case s.Session != nil:
				got = append(got, fmt.Sprint(s.Team, "@", *s.Session))
			default:
				got = append(got, s.Team)
			}
		}
		if !slices.Equal(got, want) || n != 12 {
			t.Errorf("by %s: got %q of %d messages, want %q of 12", by, got, n, want)
		}
	}
}

// A caller that has gone is no failure of the journal.
func TestSumOfACallerThatIsGoneIsNoFailure(t *testing.T) {
	d := newDispatcher(t, "")
	ctx, hangUp := context.WithCancel(t.Context())
	broken := errors.New("broken")
	if _, err := d.checkRecord(ctx, broken, nil); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("got %v", err)
	}
	hangUp()
	if _, err := d.checkRecord(ctx, broken, nil); err != context.Canceled {
		t.Errorf("after the caller went: %v", err)
	}
}

// The sums are of what the caller asked for, and only of that.
func TestSumsAreOfWhatWasAskedFor(t *testing.T) {
	d := newDispatcher(t, fakeTeam(t, "api")+"[teams.web]\ndir = \"/\"\n")
	record(t, d, journal.New{ID: "m1", Team: "api"}, journal.End{State: journal.Done})
	record(t, d, journal.New{ID: "m2", Team: "web"}, journal.End{State: journal.Done})
	for _, c := range []struct {
		query ipc.UsageQuery
		sums  int
		code  int
	}{
		{ipc.UsageQuery{By: "team"}, 2, 0}, {ipc.UsageQuery{By: "team", Team: "web"}, 1, 0},
		{ipc.UsageQuery{By: "team", Team: "gone"}, 0, ipc.CodeNotFound}, {ipc.UsageQuery{By: "year"}, 0, ipc.CodeUsage},
	} {
		cl := &client{t: t}
		var got ipc.UsageSums
		if err := cl.call(d.SumUsage, c.query, &got); len(got.Sums) != c.sums || code(err) != c.code {
			t.Errorf("%+v: got %+v, %v", c.query, got, err)
		}
	}
}
