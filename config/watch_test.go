package config

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watching runs Watch until the test ends. Each change is one value: the
// fingerprint of what was there by then.
func watching(t *testing.T, p Paths) <-chan string {
	t.Helper()
	changes := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := Watch(ctx, p, func() { changes <- fingerprint(p) }); err != nil {
			t.Errorf("watch: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	wantChange(t, changes, p, "the beginning")
	return changes
}

// wantChange waits until it is noticed what is there now. What takes several
// steps may be noticed after each.
func wantChange(t *testing.T, changes <-chan string, p Paths, what string) {
	t.Helper()
	limit := time.After(time.Minute)
	for now := fingerprint(p); ; {
		select {
		case seen := <-changes:
			if seen == now {
				return
			}
		case <-limit:
			t.Fatalf("%s was not noticed", what)
		}
	}
}

// mustReplace puts a complete file in place by a rename, as editors do.
func mustReplace(t *testing.T, file, text string) {
	t.Helper()
	mustWrite(t, file+".tmp", text)
	mustDo(t, os.Rename(file+".tmp", file))
}

func mustSymlink(t *testing.T, to, at string) {
	t.Helper()
	mustDo(t, os.Symlink(to, at+".tmp"))
	mustDo(t, os.Rename(at+".tmp", at))
}

// step changes something and waits until the change is noticed.
type step struct {
	what string
	do   func()
}

func wantNoticed(t *testing.T, p Paths, steps ...step) {
	t.Helper()
	changes := watching(t, p)
	for _, s := range steps {
		s.do()
		wantChange(t, changes, p, s.what)
	}
}

func TestWatchNoticesFiles(t *testing.T) {
	t.Parallel()
	p := tempPaths(t)
	drop := filepath.Join(p.Confd, "a.toml")
	mustMkdir(t, p.Confd)
	wantNoticed(t, p,
		step{"a new file", func() { mustWrite(t, p.Config, "umask='022'") }},
		step{"a written file", func() { mustWrite(t, p.Config, "umask='023'") }},
		step{"a replaced file", func() { mustReplace(t, p.Config, "umask='024'") }},
		step{"a written file after that", func() { mustWrite(t, p.Config, "umask='025'") }},
		step{"a change of mode", func() { mustDo(t, os.Chmod(p.Config, 0o666)) }},
		step{"a removed file", func() { mustDo(t, os.Remove(p.Config)) }},
		step{"a new drop-in", func() { mustReplace(t, drop, "[teams.a]\ndir='/a'") }},
		step{"a written drop-in", func() { mustWrite(t, drop, "[teams.a]\ndir='/b'") }},
		step{"a renamed drop-in", func() { mustDo(t, os.Rename(drop, drop+".off")) }},
	)
}

func TestWatchNoticesDirectoriesThatAppearLater(t *testing.T) {
	t.Parallel()
	p := tempPaths(t)
	dir := filepath.Dir(p.Config)
	mustDo(t, os.RemoveAll(filepath.Dir(dir)))
	wantNoticed(t, p,
		step{"a file in new directories", func() { mustWrite(t, p.Config, "umask='022'") }},
		step{"a drop-in in a new conf.d", func() { mustWrite(t, p.Confd+"/a.toml", "[teams.a]") }},
		step{"a removed conf.d", func() { mustDo(t, os.RemoveAll(p.Confd)) }},
		step{"a conf.d that is there again", func() { mustWrite(t, p.Confd+"/a.toml", "[teams.b]") }},
		step{"everything moved away", func() { mustDo(t, os.Rename(dir, dir+".old")) }},
		step{"everything moved back", func() { mustDo(t, os.Rename(dir+".old", dir)) }},
		step{"a file after that", func() { mustWrite(t, p.Config, "umask='023'") }},
		step{"everything removed", func() { mustDo(t, os.RemoveAll(filepath.Dir(dir))) }},
		step{"everything new", func() { mustWrite(t, p.Confd+"/a.toml", "[teams.b]") }},
	)
}

func TestWatchFollowsLinks(t *testing.T) {
	t.Parallel()
	p := tempPaths(t)
	far := func(name string) string { return filepath.Join(p.Home, name) }
	mustWrite(t, far("one/c"), "umask='022'")
	mustWrite(t, far("two/c"), "umask='023'")
	mustWrite(t, far("drop/d"), "[teams.d]")
	mustMkdir(t, p.Confd)
	mustSymlink(t, far("one/c"), p.Config)
	mustSymlink(t, far("drop/d"), p.Confd+"/d.toml")
	wantNoticed(t, p,
		step{"a file behind a link", func() { mustReplace(t, far("one/c"), "umask='024'") }},
		step{"a drop-in behind a link", func() { mustWrite(t, far("drop/d"), "[teams.e]") }},
		step{"another link", func() { mustSymlink(t, "../../two/c", p.Config) }},
		step{"the file behind it", func() { mustWrite(t, far("two/c"), "umask='025'") }},
		step{"a link that leads nowhere", func() { mustSymlink(t, far("three/c"), p.Config) }},
		step{"a file where it leads", func() { mustWrite(t, far("three/c"), "umask='026'") }},
	)
}

// As a home directory is kept in a repository of dotfiles, or a container's
// volume is updated: the directory itself is a link that is replaced.
func TestWatchFollowsALinkedDirectory(t *testing.T) {
	t.Parallel()
	p := tempPaths(t)
	dir := filepath.Dir(p.Config)
	far := func(name string) string { return filepath.Join(p.Home, name) }
	mustWrite(t, far("v1/config.toml"), "umask='021'")
	mustWrite(t, far("v1/conf.d/a.toml"), "[teams.a]")
	mustWrite(t, far("v2/config.toml"), "umask='022'")
	mustWrite(t, far("v2/conf.d/a.toml"), "[teams.a]")
	mustDo(t, os.Remove(dir))
	mustSymlink(t, far("v1"), dir)
	wantNoticed(t, p,
		step{"a file in it", func() { mustWrite(t, far("v1/config.toml"), "umask='020'") }},
		step{"a drop-in in it", func() { mustWrite(t, p.Confd+"/a.toml", "[teams.b]") }},
		step{"another link", func() { mustSymlink(t, far("v2"), dir) }},
		step{"a drop-in in the new one", func() { mustWrite(t, far("v2/conf.d/a.toml"), "[teams.b]") }},
		step{"a file in the new one", func() { mustReplace(t, far("v2/config.toml"), "umask='023'") }},
	)
}

// The system does not say that a directory is gone while somebody is in it.
func TestWatchNoticesThatADirectoryInUseIsReplaced(t *testing.T) {
	t.Parallel()
	p := tempPaths(t)
	mustWrite(t, p.Confd+"/a.toml", "[teams.a]")
	in, err := os.Open(p.Confd)
	mustDo(t, err)
	defer in.Close()
	wantNoticed(t, p,
		step{"another conf.d", func() {
			mustDo(t, os.RemoveAll(p.Confd))
			mustWrite(t, p.Confd+"/a.toml", "[teams.b]")
		}},
		step{"a drop-in in it", func() { mustWrite(t, p.Confd+"/a.toml", "[teams.c]") }},
	)
}

// A change is looked at when nothing more comes, and in the end whatever comes.
func TestOneSaveIsOneChange(t *testing.T) {
	for _, c := range []struct {
		events int
		every  time.Duration
		want   []time.Duration // after the first event
	}{
		{1, 0, []time.Duration{settle}},
		{20, time.Millisecond, []time.Duration{19*time.Millisecond + settle}},
		{2, settle + time.Millisecond, []time.Duration{settle, 2*settle + time.Millisecond}},
		{15, settle - 40*time.Millisecond, []time.Duration{latest, 14*(settle-40*time.Millisecond) + settle}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &watcher{targets: []string{"/c"}, fw: &fsnotify.Watcher{Events: make(chan fsnotify.Event), Errors: make(chan error)}}
			begun := time.Now()
			var got []time.Duration
			var wg sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			wg.Go(func() {
				if err := w.settled(ctx, func() error { got = append(got, time.Since(begun)); return nil }); err != nil {
					t.Error(err)
				}
			})
			for range c.events {
				w.fw.Events <- fsnotify.Event{Name: "/c"}
				time.Sleep(c.every)
			}
			time.Sleep(time.Minute)
			cancel()
			wg.Wait()
			if !slices.Equal(got, c.want) {
				t.Errorf("%d events, one every %v: looked after %v, want %v", c.events, c.every, got, c.want)
			}
		})
	}
}

func TestWhatIsNotConfigurationIsNoChange(t *testing.T) {
	p := tempPaths(t)
	mustWrite(t, p.Config, "")
	calls := 0
	look := func(w *watcher) {
		if err := w.look(func() { calls++ }); err != nil {
			t.Fatal(err)
		}
	}
	w := newTestWatcher(t, p)
	look(w)
	mustWrite(t, filepath.Dir(p.Config)+"/notes", "x")
	mustWrite(t, p.Confd+"/.a.toml.swp", "x")
	now := time.Now().Add(time.Hour)
	mustDo(t, os.Chtimes(p.Config, now, now))
	mustReplace(t, p.Config, "")
	look(w)
	if calls != 1 {
		t.Errorf("got %d calls, want 1, of the beginning", calls)
	}
	mustWrite(t, p.Config, "#")
	look(w)
	if calls != 2 {
		t.Errorf("got %d calls, want 2", calls)
	}
	for name, want := range map[string]bool{
		p.Config: true, filepath.Dir(p.Config): true, p.Confd: true, p.Confd + "/x": true, filepath.Dir(p.Config) + "/x": true,
		p.Home: true, p.Home + "/other": false, filepath.Dir(filepath.Dir(p.Config)) + "/other": false, p.Config + "/x/y": false,
	} {
		if got := w.matters(name); got != want {
			t.Errorf("matters(%s): got %v", name, got)
		}
	}
}

// A directory that is reached in two ways is watched once, and only what is
// new or lost is watched again.
func TestWatchAddsADirectoryOnce(t *testing.T) {
	p := tempPaths(t)
	dir := filepath.Dir(p.Config)
	mustDo(t, os.Rename(dir, p.Home+"/far"))
	mustDo(t, os.Symlink(p.Home+"/far", dir))
	mustWrite(t, p.Confd+"/a.toml", "")
	w := newTestWatcher(t, p)
	mustDo(t, w.follow())
	dirs := watchDirs(w.targets)
	for _, d := range dirs {
		if again, err := w.add(d); again || err != nil {
			t.Errorf("%s of %v was not watched: %v", d, dirs, err)
		}
	}
	lost := p.Home + "/far/conf.d"
	mustDo(t, w.fw.Remove(lost)) // as the system does when it is removed
	if again, err := w.add(lost); !again || err != nil {
		t.Errorf("%s is taken for watched: %v", lost, err)
	}
}

func TestWatchForgetsDirectoriesThatNoLinkLeadsToAnyMore(t *testing.T) {
	p := tempPaths(t)
	w := newTestWatcher(t, p)
	var most int
	for i := range 10 {
		dir := filepath.Join(p.Home, "v", string(rune('a'+i)))
		mustWrite(t, dir+"/c", "")
		mustSymlink(t, dir+"/c", p.Config)
		mustDo(t, w.follow())
		most = max(most, len(w.fw.WatchList()))
	}
	if most > 3 { // the directory, the one above it, the one of the link's target
		t.Errorf("%d watches", most)
	}
}

func TestWatchSaysWhenTheSystemCannot(t *testing.T) {
	p := tempPaths(t)
	w := newTestWatcher(t, p)
	mustDo(t, w.fw.Close())
	err := w.follow()
	wantErr(t, p.Home, err, "watch ~/.config/iris: fsnotify: watcher already closed; after a change send the daemon a SIGHUP")
	if err := w.run(t.Context(), func() {}); err == nil {
		t.Error("a watch that has ended goes on")
	}
}

func newTestWatcher(t *testing.T, p Paths) *watcher {
	t.Helper()
	w, err := newWatcher(p)
	mustDo(t, err)
	t.Cleanup(func() { w.fw.Close() })
	return w
}

// tempPaths returns paths in a directory of the test, without the environment,
// so that tests can run side by side. The configuration's directory is there.
func tempPaths(t *testing.T) Paths {
	t.Helper()
	home, err := filepath.EvalSymlinks(t.TempDir())
	mustDo(t, err)
	p := Paths{Home: home, Config: home + "/.config/iris/config.toml", Confd: home + "/.config/iris/conf.d"}
	mustMkdir(t, filepath.Dir(p.Config))
	return p
}
