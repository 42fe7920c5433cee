package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"iris/config/sys"
	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// What befalls a daemon in a round, beside its end.
const (
	otherBound = "another max_processes"
	fullDisk   = "a full disk"
	noFiles    = "no descriptors"
	standStill = "SIGSTOP"
)

func (d *driver) newHardship() string {
	switch x := d.r.IntN(100); {
	case x < 15:
		return otherBound
	case x < 22:
		return fullDisk
	case x < 28:
		return noFiles
	case x < 35:
		return standStill
	}
	return ""
}

// suffer has it befall the daemon, which is well again when suffer returns.
func (d *driver) suffer(ctx context.Context, daemon process, hard string) error {
	t := d.h.aim(daemon)
	defer t.release()
	short := time.Duration(50+d.r.IntN(200)) * time.Millisecond
	switch hard {
	case otherBound:
		return d.changeBound(ctx, leastBound+d.r.IntN(mostBound-leastBound+1))
	case fullDisk:
		d.report.full++
		return d.fillDisk(ctx, daemon, short)
	case noFiles:
		d.report.starved++
		return limited(ctx, daemon, syscall.RLIMIT_NOFILE, 3, short)
	case standStill:
		d.report.still++
		if d.r.IntN(8) == 0 {
			short *= 8
		}
		t.signal(syscall.SIGSTOP)
		sys.Sleep(ctx, short)
		t.signal(syscall.SIGCONT)
	}
	return nil
}

// fillDisk leaves no room where iris keeps its state; without a file system of its own it
// limits the size of the daemon's files. The output of agents that live meanwhile may be
// lost.
func (d *driver) fillDisk(ctx context.Context, daemon process, during time.Duration) error {
	defer d.cutOutput()
	d.cutOutput()
	if !d.h.tmpfs {
		return limited(ctx, daemon, syscall.RLIMIT_FSIZE, 8<<10, during)
	}
	if err := d.h.shrink(uint64(d.r.IntN(8)) << 12); err != nil {
		return err
	}
	sys.Sleep(ctx, during)
	return d.h.resize(stateSize)
}

// cutOutput notes the agents that live.
func (d *driver) cutOutput() {
	for _, p := range d.h.processes() {
		if p.isAgent() {
			d.notes.kill(p.mark, p.team())
		}
	}
}

// changeBound has the daemon take another max_processes. The agents know before that
// there may be more.
func (d *driver) changeBound(ctx context.Context, n int) error {
	d.h.bound = n
	if n > d.h.allowed {
		if err := d.h.allow(n); err != nil {
			return err
		}
	}
	if err := d.h.configure(); err != nil {
		return err
	}
	if _, err := call[ipc.Reloaded](ctx, d.h, ipc.MethodReload, struct{}{}); err != nil {
		return fmt.Errorf("reload with max_processes = %d: %w", n, err)
	}
	d.report.bounds++
	d.lowerBound(ctx)
	return nil
}

// lowerBound tells the agents that fewer may live now, once all are up that were started
// before that was so. While they are not, it leaves that to a later round.
func (d *driver) lowerBound(ctx context.Context) {
	if d.h.bound < d.h.allowed && d.allUp(ctx) {
		d.h.allow(d.h.bound)
	}
}

// allUp reports whether no agent is about to look how many live.
func (d *driver) allUp(ctx context.Context) bool {
	list, err := call[ipc.ProcessList](ctx, d.h, ipc.MethodList, struct{}{})
	if err != nil || slices.ContainsFunc(list.Processes, func(p ipc.Process) bool { return p.State == "starting" }) {
		return false
	}
	up := map[string]bool{}
	entries, err := claudetest.ReadLedger(d.h.ledger)
	for _, e := range entries {
		up[e.Process] = up[e.Process] || e.Kind == "S"
	}
	return err == nil && !slices.ContainsFunc(d.h.processes(), func(p process) bool { return p.isAgent() && !up[p.mark] })
}
