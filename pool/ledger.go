package pool

import (
	"maps"
	"slices"
	"time"

	"iris/pool/turn"
)

// money is what the table knows about costs.
type money struct {
	zone    *time.Location     // in which days and months end
	ledgers map[string]*ledger // by team; that of all teams has an empty name
	short   map[*queue]bool    // that a budget does not allow; true if running turns may help
	failing []*queue           // of them, those whose head is to fail
	look    alarm              // when short is looked at again
	quiet   bool               // report nothing
}

func newMoney(zone *time.Location) money {
	return money{zone: zone, ledgers: map[string]*ledger{}, short: map[*queue]bool{}}
}

// ledger is what the turns of a team, or of all teams, cost.
type ledger struct {
	spent    map[period]turn.Cost
	reserved turn.Cost         // for running turns
	told     map[period]report // what was reported last
	recent   []turn.Cost       // of the last turns, oldest first
	likely   turn.Cost         // the 90th percentile of recent
}

// report says that this percentage of a limit is used.
type report struct {
	limit   turn.Cost
	percent int
}

// learnFrom is how many turns of a team say what the next one may cost.
const learnFrom = 50

// keptPeriods is how many days and months a ledger has at most: those of this month and of
// the last one, since the clock may be set back.
const keptPeriods = 70

// period is a day, such as 20261130, or a month, such as 202611.
type period int

// month is the month of a day.
func (p period) month() period { return p / 100 }

func (t *table) day(at time.Time) period {
	year, month, day := at.In(t.money.zone).Date()
	return period(year*10000 + int(month)*100 + day)
}

// ends is when the day or the month of a time ends.
func (t *table) ends(at time.Time, ofMonth bool) time.Time {
	year, month, day := at.In(t.money.zone).Date()
	if ofMonth {
		return time.Date(year, month+1, 1, 0, 0, 0, 0, t.money.zone)
	}
	return time.Date(year, month, day+1, 0, 0, 0, 0, t.money.zone)
}

// ledger returns the ledger of a team, a new one if there is none.
func (t *table) ledger(team string) *ledger {
	l := t.money.ledgers[team]
	if l == nil {
		l = &ledger{spent: map[period]turn.Cost{}, told: map[period]report{}}
		t.money.ledgers[team] = l
	}
	return l
}

// book counts what a team has spent.
func (t *table) book(team string, at time.Time, cost turn.Cost) {
	if cost <= 0 {
		return
	}
	day := t.day(at)
	for _, of := range []string{"", team} {
		l := t.ledger(of)
		l.spent[day] += cost
		l.spent[day.month()] += cost
		if len(l.spent) > keptPeriods {
			old := func(p period) bool { return p < 1e6 && p < day.month()-1 || p >= 1e6 && p.month() < day.month()-1 }
			maps.DeleteFunc(l.spent, func(p period, _ turn.Cost) bool { return old(p) })
			maps.DeleteFunc(l.told, func(p period, _ report) bool { return old(p) })
		}
	}
}

// learnCost takes the cost of a turn into what the next one may cost.
func (t *table) learnCost(team string, cost turn.Cost) {
	for _, of := range []string{"", team} {
		l := t.ledger(of)
		if len(l.recent) == learnFrom {
			l.recent = slices.Delete(l.recent, 0, 1)
		}
		l.recent = append(l.recent, cost)
		sorted := slices.Sorted(slices.Values(l.recent))
		l.likely = sorted[(len(sorted)*9-1)/10]
	}
}
