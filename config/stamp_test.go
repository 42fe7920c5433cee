package config

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

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

// step changes something.
type step struct {
	what string
	do   func()
}

// wantStamps checks that the stamp differs after each step, or does not.
func wantStamps(t *testing.T, p Paths, differ bool, steps ...step) {
	t.Helper()
	before, _ := Stamp(p)
	for _, s := range steps {
		s.do()
		after, _ := Stamp(p)
		if (after != before) != differ {
			t.Errorf("after %s:\n%sbefore:\n%s", s.what, after, before)
		}
		before = after
	}
}

func TestStampTellsWhatLoadWouldRead(t *testing.T) {
	p := tempPaths(t)
	dir, drop := filepath.Dir(p.Config), filepath.Join(p.Confd, "a.toml")
	wantStamps(t, p, true,
		step{"a new file", func() { mustWrite(t, p.Config, "a") }},
		step{"a written file", func() { mustWrite(t, p.Config, "ab") }},
		step{"a replaced file", func() { mustReplace(t, p.Config, "ac") }},
		step{"a change of mode", func() { mustDo(t, os.Chmod(p.Config, 0o666)) }},
		step{"a change of the directory's mode", func() { mustDo(t, os.Chmod(dir, 0o770)) }},
		step{"a removed file", func() { mustDo(t, os.Remove(p.Config)) }},
		step{"a new conf.d with a drop-in", func() { mustWrite(t, drop, "a") }},
		step{"a written drop-in", func() { mustWrite(t, drop, "ab") }},
		step{"a renamed drop-in", func() { mustDo(t, os.Rename(drop, drop+".off")) }},
		step{"a removed conf.d", func() { mustDo(t, os.RemoveAll(p.Confd)) }},
		step{"everything moved away", func() { mustDo(t, os.Rename(dir, dir+".old")) }},
		step{"everything moved back", func() { mustDo(t, os.Rename(dir+".old", dir)) }},
	)
}

func TestStampFollowsLinks(t *testing.T) {
	p := tempPaths(t)
	far := func(name string) string { return filepath.Join(p.Home, name) }
	mustWrite(t, far("one/c"), "a")
	mustWrite(t, far("two/c"), "ab")
	mustWrite(t, far("drop/d"), "a")
	mustMkdir(t, p.Confd)
	wantStamps(t, p, true,
		step{"a link", func() { mustSymlink(t, far("one/c"), p.Config) }},
		step{"a drop-in that is a link", func() { mustSymlink(t, far("drop/d"), p.Confd+"/d.toml") }},
		step{"the file behind a link", func() { mustReplace(t, far("one/c"), "abc") }},
		step{"the drop-in behind a link", func() { mustWrite(t, far("drop/d"), "ab") }},
		step{"another link", func() { mustSymlink(t, "../../two/c", p.Config) }},
		step{"a link that leads nowhere", func() { mustSymlink(t, far("three/c"), p.Config) }},
		step{"a file where it leads", func() { mustWrite(t, far("three/c"), "a") }},
		step{"a linked directory", func() {
			mustDo(t, os.Rename(filepath.Dir(p.Config), far("four")))
			mustSymlink(t, far("four"), filepath.Dir(p.Config))
			mustWrite(t, far("four/conf.d/e.toml"), "a")
		}},
	)
}

func TestStampIsOfTheConfigurationAlone(t *testing.T) {
	p := tempPaths(t)
	mustWrite(t, p.Config, "")
	mustWrite(t, p.Confd+"/a.toml", "")
	wantStamps(t, p, false,
		step{"another file", func() { mustWrite(t, filepath.Dir(p.Config)+"/notes", "x") }},
		step{"what an editor leaves", func() { mustWrite(t, p.Confd+"/.a.toml.swp", "x") }},
		step{"what is no drop-in", func() { mustWrite(t, p.Confd+"/a.toml~", "x") }},
	)
}

// A file that was just written may be incomplete, and a file that was just removed
// may come back.
func TestSettledStampWaitsForTheWriter(t *testing.T) {
	p := tempPaths(t)
	mustWrite(t, p.Confd+"/a.toml", "a")
	for _, s := range []step{
		{"a written file", func() { mustWrite(t, p.Config, "ab") }},
		{"a removed drop-in", func() { mustDo(t, os.Remove(p.Confd+"/a.toml")) }},
	} {
		begun := time.Now()
		s.do()
		if SettledStamp(p); time.Since(begun) < unchangedFor-20*time.Millisecond { // a file's times are those of the last tick
			t.Errorf("%s: it did not wait", s.what)
		}
	}
}

func TestSettledStampDoesNotWaitForAWriterThatDoesNotEnd(t *testing.T) {
	p := tempPaths(t)
	done := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	mustWrite(t, p.Config, "")
	wg.Go(func() { defer close(done); SettledStamp(p) })
	for n := range 2000 {
		select {
		case <-done:
			return
		case <-time.After(unchangedFor / 10):
			mustWrite(t, p.Config, string(make([]byte, n%2)))
		}
	}
	t.Error("it waits")
}

func BenchmarkStamp(b *testing.B) {
	p := newHome(b)
	mustWrite(b, p.Config, "")
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		mustWrite(b, p.dropin(name), "")
	}
	b.ReportAllocs()
	for b.Loop() {
		Stamp(p)
	}
}
