package config

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// A change is reported when nothing has happened for settle, or latest after
// it began.
const (
	settle = 150 * time.Millisecond
	latest = time.Second
)

// Watch calls onChange, on the caller's goroutine, each time the contents or
// the permissions of the configuration's files have changed, whether they are
// written, replaced, linked elsewhere, created or removed. It also calls it
// once when it has begun to watch, since nobody saw what changed between Load
// and then. A file that is caught half written is reported again when it is
// complete. Watch returns nil when ctx ends, and an error when the system
// cannot watch (any more); the daemon then relies on SIGHUP.
func Watch(ctx context.Context, p Paths, onChange func()) error {
	w, err := newWatcher(p)
	if err != nil {
		return err
	}
	defer w.fw.Close()
	if err := w.look(onChange); err != nil {
		return err
	}
	return w.run(ctx, onChange)
}

// watcher is one Watch under way.
type watcher struct {
	paths   Paths
	fw      *fsnotify.Watcher
	targets []string               // files and directories whose coming and going matters
	dirs    map[string]fs.FileInfo // what is watched
	last    string                 // the fingerprint that has been reported
}

func newWatcher(p Paths) (*watcher, error) {
	fw, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, watchError(p.Config, err)
	}
	return &watcher{paths: p, fw: fw, dirs: map[string]fs.FileInfo{}}, nil
}

func (w *watcher) run(ctx context.Context, onChange func()) error {
	return w.settled(ctx, func() error { return w.look(onChange) })
}

// settled calls look each time that events have come and it is time to look. It
// returns nil when ctx ends, and an error when look does or no events will come.
func (w *watcher) settled(ctx context.Context, look func() error) error {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	var since time.Time // of the first event not yet looked at, zero for none
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev, ok := <-w.fw.Events:
			if !ok {
				return watchError(w.paths.Config, errors.New("the watch has ended"))
			}
			if !w.matters(ev.Name) {
				continue
			}
		case _, ok := <-w.fw.Errors:
			if !ok {
				return watchError(w.paths.Config, errors.New("the watch has ended"))
			}
			// Events were lost: look at everything.
		case <-timer.C:
			since = time.Time{}
			if err := look(); err != nil {
				return err
			}
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		timer.Reset(min(settle, max(0, latest-time.Since(since))))
	}
}

// look reports a change if there is one. Watches come first: what happens
// after them is an event, what happened before is in the fingerprint.
func (w *watcher) look(onChange func()) error {
	if err := w.follow(); err != nil {
		return err
	}
	if now := fingerprint(w.paths); now != w.last {
		w.last = now
		onChange()
	}
	return nil
}

// matters says whether an event can be about the configuration. The watched
// directories above it see many others.
func (w *watcher) matters(name string) bool {
	for _, t := range w.targets {
		if name == t || strings.HasPrefix(t, name+"/") || filepath.Dir(name) == t {
			return true
		}
	}
	return false
}

// follow watches the directories in which a change can happen as things are
// now, and no others. A directory may appear between looking and watching, so
// it looks again until nothing is new.
func (w *watcher) follow() error {
	for range 10 {
		w.targets = targets(w.paths)
		dirs := watchDirs(w.targets)
		for dir := range w.dirs {
			if !slices.Contains(dirs, dir) {
				w.drop(dir)
			}
		}
		added := false
		for _, dir := range dirs {
			n, err := w.add(dir)
			if err != nil {
				return watchError(dir, err)
			}
			added = added || n
		}
		if !added {
			return nil
		}
	}
	return nil
}

// add watches a directory unless it is watched. Another directory of the same
// name counts as new; one that has gone meanwhile is left out.
func (w *watcher) add(dir string) (added bool, err error) {
	fi, err := os.Stat(dir)
	if err != nil {
		return true, nil
	}
	if old, ok := w.dirs[dir]; ok && os.SameFile(old, fi) && slices.Contains(w.fw.WatchList(), dir) {
		return false, nil
	}
	w.drop(dir)
	err = w.fw.Add(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return true, nil
	}
	w.dirs[dir] = fi
	return true, err
}

func (w *watcher) drop(dir string) {
	delete(w.dirs, dir)
	w.fw.Remove(dir) // it is not watched any more in any case
}

// targets returns the configuration's directory and file, conf.d, and whatever
// links lead to from these. The directories in them are without links, as
// those of the events are.
func targets(p Paths) []string {
	var out []string
	add := func(path string) {
		for range 10 { // links may lead to links
			path = filepath.Join(canonical(filepath.Dir(path)), filepath.Base(path))
			if !slices.Contains(out, path) {
				out = append(out, path)
			}
			to, err := os.Readlink(path)
			if err != nil {
				return
			}
			if !filepath.IsAbs(to) {
				to = filepath.Join(filepath.Dir(path), to)
			}
			path = to
		}
	}
	add(filepath.Dir(p.Config))
	add(p.Config)
	add(p.Confd)
	entries, _ := os.ReadDir(p.Confd)
	for _, e := range entries {
		if e.Type() == fs.ModeSymlink {
			add(filepath.Join(p.Confd, e.Name()))
		}
	}
	return out
}

// canonical resolves the links in as much of a path as exists.
func canonical(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		return real
	}
	up := filepath.Dir(path)
	if up == path {
		return path
	}
	return filepath.Join(canonical(up), filepath.Base(path))
}

// watchDirs returns the directories in which the targets appear and
// disappear: for each, itself if it is a directory, and the nearest directory
// above it that exists.
func watchDirs(targets []string) []string {
	var out []string
	add := func(dir string) {
		if !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	for _, t := range targets {
		if isDir(t) {
			add(t)
		}
		up := filepath.Dir(t)
		for !isDir(up) && up != "/" {
			up = filepath.Dir(up)
		}
		add(up)
	}
	return out
}

// isDir says whether path is a directory and no link to one.
func isDir(path string) bool {
	fi, err := os.Lstat(path)
	return err == nil && fi.IsDir()
}

// fingerprint changes when Load would read something else.
func fingerprint(p Paths) string {
	h := fnv.New128a()
	sources, problems := readSources(p)
	for _, s := range sources {
		fmt.Fprintf(h, "%q %d\n", s.path, len(s.data))
		h.Write(s.data)
	}
	fmt.Fprintf(h, "%q", append(problems, checkDirs(p, sources)...).Error())
	return string(h.Sum(nil))
}

func watchError(path string, err error) error {
	hint := "after a change send the daemon a SIGHUP"
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EMFILE) {
		hint = "raise fs.inotify.max_user_watches or max_user_instances, or " + hint
	}
	return fmt.Errorf("watch %s: %w; %s", path, err, hint)
}
