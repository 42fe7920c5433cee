package claude

import (
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// pollEvery is how often a file is looked at that could not be watched.
const pollEvery = 25 * time.Millisecond

// Follower tells processes that their spools have grown. One serves all: one
// watch a file, one goroutine (and one of fsnotify's), which Close waits for.
// It reads nothing itself, so a slow reader does not hold up the others.
type Follower struct {
	watcher *fsnotify.Watcher
	wg      sync.WaitGroup

	mu     sync.Mutex // protects the fields below
	kicks  map[string]func()
	polled map[string]bool // could not be watched
	more   chan struct{}   // there is something to poll now
}

// NewFollower returns a follower at work.
func NewFollower() (*Follower, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	f := &Follower{watcher: w, kicks: map[string]func(){}, polled: map[string]bool{}, more: make(chan struct{}, 1)}
	f.wg.Go(f.run)
	return f, nil
}

// Close ends the following and waits for it. The processes must have ended.
func (f *Follower) Close() {
	f.watcher.Close()
	f.wg.Wait()
}

// add calls kick, which must not block, whenever the file may have grown. A
// file that cannot be watched (the system's limit is reached) is polled.
func (f *Follower) add(path string, kick func()) {
	path = filepath.Clean(path)
	f.mu.Lock()
	f.kicks[path] = kick
	f.mu.Unlock()
	if err := f.watcher.Add(path); err != nil {
		f.mu.Lock()
		f.polled[path] = true
		f.mu.Unlock()
		select {
		case f.more <- struct{}{}:
		default:
		}
	}
	kick()
}

func (f *Follower) remove(path string) {
	path = filepath.Clean(path)
	f.watcher.Remove(path)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.kicks, path)
	delete(f.polled, path)
}

// run passes events on until the watcher is closed.
func (f *Follower) run() {
	tick := time.NewTicker(pollEvery)
	tick.Stop()
	defer tick.Stop()
	for {
		select {
		case e, ok := <-f.watcher.Events:
			if !ok {
				return
			}
			f.kick(e.Name)
		case err, ok := <-f.watcher.Errors:
			if !ok {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				f.kickAll(false)
			}
		case <-f.more:
			tick.Reset(pollEvery)
		case <-tick.C:
			if !f.kickAll(true) {
				tick.Stop()
			}
		}
	}
}

func (f *Follower) kick(path string) {
	f.mu.Lock()
	kick := f.kicks[path]
	f.mu.Unlock()
	if kick != nil {
		kick()
	}
}

// kickAll kicks every file, or every polled one, and reports whether there was
// any.
func (f *Follower) kickAll(polled bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	any := false
	for path, kick := range f.kicks {
		if !polled || f.polled[path] {
			kick()
			any = true
		}
	}
	return any
}
