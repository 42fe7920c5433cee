package claude

import (
	"context"
	"os"

	"iris/pool"
	"iris/pool/procs"
)

// Check measures the process and everything below it; with ping it also asks for a
// sign of life, unless the process is frozen. It does not disturb a turn.
func (p *Process) Check(ctx context.Context, ping bool) (pool.Health, error) {
	if ping && !p.Frozen() {
		if _, err := p.call(ctx, "get_binary_version"); err != nil {
			return pool.Health{}, err
		}
	}
	p.spool.trimErr()
	return pool.Health{Memory: procs.TreeMemory(p.ident.PID)}, nil
}

// Stale says why the process should be replaced before its next turn. It has read most
// of its files only at its start; and without its directory Claude Code fails the turn
// and exits. A new directory at the same path does not count as a change, but a link in
// the path that leads elsewhere does: the agent works in the old place.
func (p *Process) Stale() string {
	if info, err := os.Stat(p.o.Dir); err != nil || !info.IsDir() {
		return "directory gone"
	}
	if why := p.wentOn(); why != "" {
		return why
	}
	w := p.startedWith()
	if now := realPath(p.o.Dir); w.Dir != "" && now != w.Dir {
		return "its directory is " + now + " now"
	}
	return w.stale(p.o.Stamp.Changed)
}
