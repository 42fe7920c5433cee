package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"iris/config/sys"
	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// accounts are those of the teams, which share each of them, but for the first team.
const accounts = 2

// account is that of a team; empty for the first team, whose account has no limits.
func account(of string) string {
	for i := 1; i < teams; i++ {
		if team(i) == of {
			return fmt.Sprintf("account-%d", i%accounts)
		}
	}
	return ""
}

// limitFile says the agents until when an account is limited.
func (h *home) limitFile(account string) string { return filepath.Join(h.dir, account) }

// limitAccounts has accounts reach a limit now and then: until a reset, or, without a word
// about a reset, as long as the file is there. A limit has passed before the next one.
func (d *driver) limitAccounts() error {
	for i := range accounts {
		path := d.h.limitFile(fmt.Sprintf("account-%d", i))
		data, err := os.ReadFile(path)
		reset, _ := strconv.ParseInt(string(data), 10, 64)
		switch {
		case err == nil && time.Now().Before(time.Unix(reset, 0)):
			continue
		case err == nil:
			err = os.Remove(path)
		case d.r.IntN(2) == 0:
			continue
		case d.r.IntN(4) == 0:
			d.report.limits++
			err = sys.WriteFile(path, nil, 0o600, true)
		default:
			d.report.limits++
			reset := time.Now().Unix() + 2 + d.r.Int64N(2)
			err = sys.WriteFile(path, strconv.AppendInt(nil, reset, 10), 0o600, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unlimit has no account be limited any more.
func (d *driver) unlimit() error {
	for i := range accounts {
		err := os.Remove(d.h.limitFile(fmt.Sprintf("account-%d", i)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

const (
	putOffNote = "its account was limited before anything was done in the turn"

	// backOff is the least time for which a limit without a reset closes an account.
	backOff = time.Minute

	// onItsWay is how long after the end of a limited turn others may begin that had their
	// agents before it, and how long before its effect a person has asked to open an account.
	onItsWay = 300 * time.Millisecond
)

// limit is a limit that a turn has hit, by the agent's own word.
type limit struct {
	process string
	reset   time.Time // zero if it is not known
}

func limitOf(e claudetest.Entry) limit {
	l := limit{process: e.Process}
	if n, err := strconv.ParseInt(e.Text, 10, 64); err == nil && n > 0 {
		l.reset = time.Unix(n, 0)
	}
	return l
}

// putOff reports whether a step queues a message again since its account was limited.
func putOff(step ipc.Change) bool { return step.State == "queued" && step.Note == putOffNote }

// putOffs is how often a message was put off.
func putOffs(rec *record) (n int) {
	for _, step := range rec.History {
		if putOff(step) {
			n++
		}
	}
	return n
}

// limits compares each message that was put off with the limits that its agents have told,
// and looks for turns of the account that have begun before it was open again.
func (o *oracle) limits() {
	for i := range o.records {
		rec := &o.records[i]
		told := o.story(rec.Origin).limits
		for n, step := range rec.History {
			if !putOff(step) {
				continue
			}
			o.report.putOff++
			k := 0
			for k < len(told) && told[k].process != rec.History[n-1].Process {
				k++
			}
			if k == len(told) {
				o.report.broken(&o.report.noProof, "message %s was put off, and its agent was not limited", rec.ID)
				continue
			}
			until := told[k].reset
			if told = told[k+1:]; until.IsZero() {
				until = step.At.Add(backOff)
			}
			o.nothingBegan(rec, step.At, until)
		}
	}
}

// nothingBegan looks for a turn of an account that has begun while that was limited.
func (o *oracle) nothingBegan(limited *record, from, until time.Time) {
	name := account(limited.Team)
	for _, at := range o.notes.opens[name] {
		if at.After(from.Add(-onItsWay)) && at.Before(until) {
			until = at
		}
	}
	for i := range o.records {
		r, after := &o.records[i], from
		if account(r.Team) != name {
			continue
		}
		if r.ID != limited.ID {
			after = from.Add(onItsWay)
		}
		for _, step := range r.History {
			if step.State == "running" && step.At.After(after) && step.At.Before(until) {
				o.report.broken(&o.report.unlimited, "message %s began at %v, and %s was limited from %v until %v, as %s says", r.ID, step.At, name, from, until, limited.ID)
			}
		}
	}
}

// endedByLimit reports whether a message has failed, as its sender wanted, since its
// account was limited.
func (o *oracle) endedByLimit(s *story, rec *record) bool {
	if rec.OnLimit != "fail" {
		return false
	}
	if n := len(rec.History); n > 1 && rec.History[n-2].State == "queued" { // it may have begun before, and was sent again
		return o.limited[account(rec.Team)]
	}
	return len(s.limits) > 0
}
