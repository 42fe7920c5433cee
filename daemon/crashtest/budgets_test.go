package main

import (
	"slices"
	"testing"
	"time"

	"iris/ipc"
)

// paid has the messages be of a team with a budget of a dollar. The first costs that much and
// ends, and so much later the second begins.
func (s *scene) paid(of string, later time.Duration) *oracle {
	at := time.Date(2026, 3, 28, 12, 0, 0, 0, time.Local)
	for i := range s.records {
		s.records[i].Team = of
	}
	s.first.send.Team, s.second.send.Team = of, of
	s.records[0].CostUSD = 1
	s.records[0].History[1].At, s.records[0].History[2].At = at.Add(-time.Minute), at
	s.records[1].History[1].At = at.Add(later)
	return &oracle{
		notes: s.notes, records: s.records, entries: s.entries, report: &report{fates: fates{atKill: 1}},
		budgets: map[string][]budget{of: {{usd: 1, from: at.Add(-time.Hour)}}},
	}
}

func TestOracleSeesTurnsOverABudget(t *testing.T) {
	for later, want := range map[time.Duration]int{onItsWay / 2: 0, 2 * onItsWay: 1} {
		o := newScene().paid(team(teams-1), later)
		if o.judge(); o.report.overspent != want {
			t.Errorf("begun %v later: got %q", later, o.report.problems)
		}
	}
	o := newScene().paid(team(teams-1), 2*onItsWay)
	raised := o.budgets[team(teams-1)]
	raised[0].until = raised[0].from.Add(time.Hour + onItsWay)
	o.budgets[team(teams-1)] = append(raised, budget{usd: 2, from: raised[0].until})
	if o.judge(); len(o.report.problems) > 0 {
		t.Errorf("with a higher budget: %q", o.report.problems)
	}
}

func TestOracleJudgesWhatABudgetRefused(t *testing.T) {
	for name, c := range map[string]struct {
		team               string
		ran                bool
		noProof, overspent int
	}{
		"it fails":          {team(teams - 2), false, 0, 0},
		"it was to wait":    {team(teams - 1), false, 1, 0},
		"it fails, and ran": {team(teams - 2), true, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			o := s.paid(c.team, 0)
			r := s.end("failed")
			r.Error = "team: the day's budget of team " + c.team + " does not allow a turn of $1.00"
			r.History = []ipc.Change{r.History[0], {State: "failed"}}
			if !c.ran {
				o.entries = slices.Delete(o.entries, 0, 3)
			}
			o.judge()
			if o.report.unpaid != 1 || o.report.noProof != c.noProof || o.report.overspent != c.overspent {
				t.Errorf("got %q", o.report.problems)
			}
		})
	}
}
