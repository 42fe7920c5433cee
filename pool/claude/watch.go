package claude

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Watched records what an agent was started with: its directory, its files, its
// program, and the rest by its Stamp.
type Watched struct {
	Dir     string `json:",omitempty"` // without symbolic links
	Files   []File
	Program File   `json:",omitzero"`
	Then    string // its Stamp
}

// File tells two versions of a file or directory apart.
type File struct {
	Path  string
	Kind  Kind `json:",omitempty"`
	There bool
	Size  int64
	Time  int64 // of its last change, in nanoseconds
	Inode uint64
	Tree  uint64 `json:",omitempty"` // of a directory, in place of these three
}

// A Stamp compares what decides about a process outside of its files, such as its
// configuration: at its start and now.
type Stamp struct {
	Then    string
	Changed func(then string) string // says what has changed since, empty for nothing; nil if nothing ever does
}

// watch records what an agent is started with, and only the files and the
// configuration if it runs already: then program is empty.
func watch(o *Options, program string) Watched {
	w := Watched{Then: o.Stamp.Then}
	if program != "" {
		w.Dir = realPath(o.Dir)
	}
	if program != "" && o.Prefix == nil { // else it is iris itself, whose agents outlive its upgrades
		w.Program = fileAt(Source{Path: program})
	}
	for _, s := range o.Watch {
		w.Files = append(w.Files, fileAt(s))
	}
	return w
}

func fileAt(s Source) File {
	f := File{Path: s.Path, Kind: s.Kind}
	info, err := os.Stat(s.Path)
	if err != nil {
		return f
	}
	f.There = true
	if info.IsDir() {
		f.Tree = treeAt(s.Path)
		return f
	}
	f.Size, f.Time, f.Inode = info.Size(), info.ModTime().UnixNano(), inode(info)
	return f
}

func inode(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// realPath is a path without symbolic links, as far as it exists.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// now is the same file or directory as it is now.
func (f *File) now() File { return fileAt(Source{f.Path, f.Kind}) }

// stale says what has changed since the start; changed compares the stamp.
func (w *Watched) stale(changed func(then string) string) string {
	if changed != nil {
		if why := changed(w.Then); why != "" {
			return why
		}
	}
	for _, f := range w.Files {
		if f.Kind == Reloaded || f.now() == f {
			continue
		}
		if f.Kind == Once || unparsed(f.Path) == nil {
			return filepath.Base(f.Path) + " changed"
		}
		if f.Kind == Settings {
			return filepath.Base(f.Path) + " does not parse"
		}
	}
	if w.updated() {
		return "program changed"
	}
	return ""
}

// updated reports whether the program is another one. While it is missing or empty, an
// update is under way.
func (w *Watched) updated() bool {
	now := w.Program.now()
	return w.Program.There && now != w.Program && now.Size > 0 && executable(w.Program.Path) == nil
}

// unparsed is the first changed file that does not parse now.
func (w *Watched) unparsed() error {
	for _, f := range w.Files {
		if f.Kind.mustParse() && f.now() != f {
			if err := unparsed(f.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// reload has the agent read again what it can read again, if that has changed. The
// agent looks by itself, too, but up to some seconds later, and not in directories
// that did not exist when it started.
func (p *Process) reload(ctx context.Context) error {
	p.mu.Lock()
	files := slices.Clone(p.watched.Files)
	p.mu.Unlock()
	changed := false
	for i, f := range files {
		if f.Kind == Reloaded {
			files[i] = f.now()
			changed = changed || files[i] != f
		}
	}
	if !changed {
		return nil
	}
	if _, err := p.call(ctx, "reload_plugins"); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched.Files = files
	return nil
}

// Unparsed says which settings or .mcp.json file has changed since the start and does
// not parse, and where; nil if there is none. It reads the disk.
func (p *Process) Unparsed() error {
	w := p.startedWith()
	return w.unparsed()
}

func (p *Process) startedWith() Watched {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.watched
}

const (
	maxEntries = 1000 // of a directory, with those below it, that are looked at
	maxDepth   = 4    // directories below it
)

// treeAt is a hash of the Markdown and JSON files in a directory and below it. A skill
// is a directory that may hold a lot: only its SKILL.md counts, which is read at once.
func treeAt(dir string) uint64 {
	t := tree{left: maxEntries, skills: filepath.Base(dir) == "skills"}
	t.walk(dir, maxDepth)
	slices.Sort(t.found)
	h := fnv.New64a()
	for _, line := range t.found {
		io.WriteString(h, line)
	}
	return h.Sum64()
}

// A tree collects the files of a directory.
type tree struct {
	found  []string
	left   int
	skills bool // it holds a directory for each skill
}

func (t *tree) walk(dir string, depth int) {
	if t.left <= 0 {
		return
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0) // a link may lead to a pipe
	if err != nil {
		return
	}
	entries, _ := f.ReadDir(t.left)
	f.Close()
	t.left -= len(entries)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch ext := filepath.Ext(path); {
		case t.skills:
			t.add(filepath.Join(path, "SKILL.md"))
		case ext == ".md" || ext == ".json":
			t.add(path)
		case depth > 0 && (e.IsDir() || e.Type()&os.ModeSymlink != 0):
			t.walk(path, depth-1)
		}
	}
}

func (t *tree) add(path string) {
	if info, err := os.Stat(path); err == nil {
		t.found = append(t.found, fmt.Sprint(path, "\x00", info.Size(), info.ModTime().UnixNano(), inode(info)))
	}
}
