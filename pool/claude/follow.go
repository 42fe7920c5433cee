package claude

import (
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// pollEvery is how often a file that could not be watched is checked.
const pollEvery = 25 * time.Millisecond

// Follower tells processes that their spools have grown. One Follower serves all: one
// watch a file, one goroutine (and one of fsnotify's), which Close waits for. It
// reads nothing itself, so a slow reader does not delay the others.
type Follower struct {
	watcher *fsnotify.Watcher // without one, both channels nil, if the system gave none
	none    error             // why it gave none
	closed  chan struct{}
	wg      sync.WaitGroup

	watching sync.Mutex // one change of the watches at a time; taken before mu

	mu     sync.Mutex // protects the fields below
	kicks  map[string][]*kick
	polled map[string]error // why a path is not watched
	more   chan struct{}    // polled has its first path
}

// kick is called when a file may have grown.
type kick struct{ call func() }

// NewFollower starts a follower. If the system gives it no watcher, it polls every file
// that is added, until it is closed.
func NewFollower() *Follower {
	f := &Follower{closed: make(chan struct{}), kicks: map[string][]*kick{}, polled: map[string]error{}, more: make(chan struct{}, 1)}
	if f.watcher, f.none = fsnotify.NewWatcher(); f.none != nil {
		f.watcher = &fsnotify.Watcher{}
	}
	f.wg.Go(f.run)
	return f
}

// Polls returns why files are polled: the system's error for one of them, nil if none is.
func (f *Follower) Polls() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, err := range f.polled {
		return err
	}
	return f.none
}

// Close stops the follower and waits for it. The processes must have ended.
func (f *Follower) Close() {
	close(f.closed)
	f.wg.Wait()
	if f.none == nil {
		f.watcher.Close()
	}
}

// add calls call, which must not block, whenever the file may have grown, until
// remove is called. A file that cannot be watched (the system's limit is reached) is
// polled.
func (f *Follower) add(path string, call func()) (remove func()) {
	path = filepath.Clean(path)
	k := &kick{call}
	f.watching.Lock()
	defer f.watching.Unlock()
	f.mu.Lock()
	f.kicks[path] = append(f.kicks[path], k)
	f.mu.Unlock()
	if err := f.watch(path); err != nil {
		f.mu.Lock()
		f.polled[path] = err
		f.mu.Unlock()
		select {
		case f.more <- struct{}{}:
		default:
		}
	}
	call()
	return func() { f.remove(path, k) }
}

func (f *Follower) watch(path string) error {
	if f.none != nil {
		return f.none
	}
	return f.watcher.Add(path)
}

// remove removes one kick, and the watch with the last one.
func (f *Follower) remove(path string, k *kick) {
	f.watching.Lock()
	defer f.watching.Unlock()
	f.mu.Lock()
	rest := slices.DeleteFunc(slices.Clone(f.kicks[path]), func(o *kick) bool { return o == k })
	if f.kicks[path] = rest; len(rest) == 0 {
		delete(f.kicks, path)
		delete(f.polled, path)
	}
	f.mu.Unlock()
	if len(rest) == 0 && f.none == nil {
		f.watcher.Remove(path)
	}
}

// run passes events on until the follower is closed.
func (f *Follower) run() {
	tick := time.NewTicker(pollEvery)
	tick.Stop()
	defer tick.Stop()
	for {
		select {
		case <-f.closed:
			return
		case e := <-f.watcher.Events:
			f.kick(e.Name)
		case err := <-f.watcher.Errors:
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
	kicks := f.kicks[path]
	f.mu.Unlock()
	for _, k := range kicks {
		k.call()
	}
}

// kickAll kicks every file, or every polled file, and reports whether there was any.
func (f *Follower) kickAll(polled bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	any := false
	for path, kicks := range f.kicks {
		if polled && f.polled[path] == nil {
			continue
		}
		for _, k := range kicks {
			k.call()
			any = true
		}
	}
	return any
}
