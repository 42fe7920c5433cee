package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"iris/config/sys"
	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// record is what iris has of a message.
type record struct {
	ipc.Message
	answer string // of one that is done, or that failed with one
}

// page is how many messages are listed at a time.
const page = 500

// verify has a daemon that nobody disturbs bring everything to its end, stops
// it, and hears the witnesses.
func (d *driver) verify(ctx context.Context) error {
	if err := d.unlimit(); err != nil {
		return err
	}
	daemon, err := d.h.start(ctx)
	if err != nil {
		return err
	}
	if err := d.enrich(ctx); err != nil {
		return err
	}
	if err := d.settle(ctx); err != nil {
		return err
	}
	records, err := d.records(ctx)
	if err != nil {
		return err
	}
	if daemon, err = d.checkSpent(ctx, daemon, records); err != nil {
		return err
	}
	if err := d.stop(ctx, daemon); err != nil {
		return err
	}
	for _, p := range d.h.processes() {
		d.report.broken(&d.report.orphans, "left behind: %v", p)
	}
	d.files(records)
	entries, err := claudetest.ReadLedger(d.h.ledger)
	if err != nil {
		return err
	}
	o := oracle{notes: d.notes, records: records, entries: entries, report: d.report, hung: d.hung, budgets: d.h.budgets}
	o.judge()
	return nil
}

// still is how long nothing may come to its end while something waits: longer
// than it takes to end an agent that hangs.
const still = 30 * time.Second

// settle waits until nothing waits or runs. What waits for a person gets one. What does not come to its end is
// then seen in the records.
func (d *driver) settle(ctx context.Context) error {
	least, since, person := int64(-1), time.Now(), d.sender(0, decider)
	for {
		st, err := call[ipc.Status](ctx, d.h, ipc.MethodStatus, struct{}{})
		if err != nil {
			return fmt.Errorf("status of the last daemon: %w", err)
		}
		j := st.Journal
		if j.Error != "" {
			return errors.New("the journal: " + j.Error)
		}
		n := j.Queued + j.Running
		if least < 0 || n < least {
			least, since = n, time.Now()
		}
		if n == 0 || time.Since(since) > still {
			return nil
		}
		if time.Since(since) > time.Second {
			person.release(ctx)
			person.open(ctx, true)
		}
		if !sys.Sleep(ctx, 20*time.Millisecond) {
			return fmt.Errorf("%d messages still wait and %d run: %w", j.Queued, j.Running, context.Cause(ctx))
		}
	}
}

// stop ends the last daemon as a person does.
func (d *driver) stop(ctx context.Context, daemon process) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if out, err := d.h.command(ctx, "daemon", "stop").CombinedOutput(); err != nil {
		return fmt.Errorf("iris daemon stop: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return d.h.gone(ctx, daemon)
}

// records reads all that is on record, oldest first.
func (d *driver) records(ctx context.Context) ([]record, error) {
	c, err := d.h.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var all []record
	next := ipc.MessageQuery{Limit: page}
	for more := true; more; {
		var list ipc.MessageList
		if err := c.Call(ctx, ipc.MethodMessages, next, &list); err != nil {
			return nil, fmt.Errorf("list messages: %w", err)
		}
		for _, damage := range list.Damaged {
			d.report.broken(&d.report.lost, "damaged: %s", damage)
		}
		for _, m := range list.Messages {
			r, err := readRecord(ctx, c, m.ID)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
		if more = list.More && len(list.Messages) > 0; more {
			next.Before = list.Messages[len(list.Messages)-1].ID
		}
	}
	slices.Reverse(all)
	return all, nil
}

func readRecord(ctx context.Context, c *ipc.Client, id string) (record, error) {
	var r record
	if err := c.Call(ctx, ipc.MethodShow, ipc.MessageRef{ID: id}, &r.Message); err != nil {
		return r, fmt.Errorf("show message %s: %w", id, err)
	}
	if r.State != "done" && r.State != "failed" {
		return r, nil
	}
	var reply ipc.Reply
	err := c.Call(ctx, ipc.MethodResult, ipc.MessageRef{ID: id}, &reply)
	if _, none := errors.AsType[*ipc.Error](err); none && r.State == "failed" {
		return r, nil
	} else if err != nil {
		return r, fmt.Errorf("result of message %s: %w", id, err)
	}
	r.answer = reply.Text
	return r, nil
}

// files looks for what is left in the directories of iris: a spool of an agent
// that is gone, a body that no record names.
func (d *driver) files(records []record) {
	known := map[string]bool{}
	for _, r := range records {
		known[r.ID] = true
	}
	spools, _ := os.ReadDir(d.h.paths.Spool)
	for _, e := range spools {
		d.report.broken(&d.report.strays, "left behind: %s", filepath.Join(d.h.paths.Spool, e.Name()))
	}
	bodies := filepath.Join(d.h.paths.State, "bodies")
	large, _ := os.ReadDir(bodies)
	for _, e := range large {
		if id, _, _ := strings.Cut(e.Name(), "."); !known[id] {
			d.report.broken(&d.report.strays, "left behind: %s", filepath.Join(bodies, e.Name()))
		}
	}
}
