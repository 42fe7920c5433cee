package claude

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"iris/pool"
	"iris/pool/procs"
)

// Check measures the process and everything below it; with ping it also asks for a
// sign of life. It does not disturb a turn.
func (p *Process) Check(ctx context.Context, ping bool) (pool.Health, error) {
	if ping {
		if _, err := p.call(ctx, "get_binary_version"); err != nil {
			return pool.Health{}, err
		}
	}
	p.spool.trimErr()
	return pool.Health{Memory: procs.TreeMemory(p.ident.PID)}, nil
}

// Stale says why the process should be replaced before its next turn. It has read its
// files only at its start; and without its directory Claude Code fails the turn and
// exits. A new directory at the same path does not count as a change.
func (p *Process) Stale() string {
	if info, err := os.Stat(p.o.Dir); err != nil || !info.IsDir() {
		return "directory gone"
	}
	return p.watched.stale(p.o.Stamp.Now)
}

// Watched records the files and the configuration that an agent was started with.
type Watched struct {
	Files []File
	Then  string // the configuration
}

// File tells two versions of a file apart.
type File struct {
	Path  string
	There bool
	Size  int64
	Time  int64 // of its last change, in nanoseconds
	Inode uint64
}

// A Stamp compares two configurations: that of the process's start and the current
// one.
type Stamp struct {
	Then string
	Now  func() string // nil if it never changes
}

func watch(paths []string, then string) Watched {
	w := Watched{Then: then}
	for _, path := range paths {
		w.Files = append(w.Files, fileAt(path))
	}
	return w
}

func fileAt(path string) File {
	info, err := os.Stat(path)
	if err != nil {
		return File{Path: path}
	}
	f := File{Path: path, There: true, Size: info.Size(), Time: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		f.Inode = st.Ino
	}
	return f
}

// stale says what has changed since the start; now returns the current configuration.
func (w *Watched) stale(now func() string) string {
	if now != nil && now() != w.Then {
		return "configuration changed"
	}
	for _, f := range w.Files {
		if fileAt(f.Path) != f {
			return filepath.Base(f.Path) + " changed"
		}
	}
	return ""
}
