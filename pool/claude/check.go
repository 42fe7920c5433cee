package claude

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"iris/pool"
)

// Check measures the process and everything below it, and with ping asks it
// for a sign of life. It does not disturb a turn.
func (p *Process) Check(ctx context.Context, ping bool) (pool.Health, error) {
	if ping {
		if _, err := p.call(ctx, "get_binary_version"); err != nil {
			return pool.Health{}, err
		}
	}
	p.spool.trimErr()
	return pool.Health{Memory: memory(p.ident.pid)}, nil
}

// Stale says why the process should be replaced before its next turn: it has
// read its files once, at start, and without its directory Claude Code fails the
// turn and exits. Another directory in that place it takes for its own.
func (p *Process) Stale() string {
	if info, err := os.Stat(p.o.Dir); err != nil || !info.IsDir() {
		return "directory gone"
	}
	return p.watched.stale()
}

// watched is what an agent has read at its start.
type watched struct {
	files []stamp
	now   func() string
	then  string
}

// stamp tells two versions of a file apart.
type stamp struct {
	path  string
	there bool
	size  int64
	mtime time.Time
	inode uint64
}

func watch(paths []string, now func() string) watched {
	w := watched{now: now}
	for _, path := range paths {
		w.files = append(w.files, stampOf(path))
	}
	if now != nil {
		w.then = now()
	}
	return w
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{path: path}
	}
	s := stamp{path: path, there: true, size: info.Size(), mtime: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = st.Ino
	}
	return s
}

func (w *watched) stale() string {
	if w.now != nil && w.now() != w.then {
		return "configuration changed"
	}
	for _, s := range w.files {
		if stampOf(s.path) != s {
			return filepath.Base(s.path) + " changed"
		}
	}
	return ""
}
