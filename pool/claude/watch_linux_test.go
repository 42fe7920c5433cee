//go:build linux

package claude

import (
	"os"
	"path/filepath"
	"testing"
)

// What an agent can read again it is asked to read again, and is not replaced.
func TestReload(t *testing.T) {
	r := fakeRig(t)
	command := put(t, "one", r.o.Dir, ".claude", "commands", "team", "deploy.md")
	r.o.Watch = Sources(r.o.Dir, r.o.Env, nil)
	p := r.start()
	ask(t, p, "reloads", "0")
	put(t, "two and more", command)
	if why := p.Stale(); why != "" {
		t.Errorf("stale: %s", why)
	}
	ask(t, p, "reloads", "1")
	ask(t, p, "reloads", "1")
	put(t, "a skill", r.o.Dir, "..", ".claude", "skills", "x", "SKILL.md")
	q := r.adopted(p)
	ask(t, q, "reloads", "2")
}

// An agent whose directory is reached by a link stays in the old directory when the
// link is moved.
func TestStaleByLink(t *testing.T) {
	r := fakeRig(t)
	link, next := filepath.Join(t.TempDir(), "current"), realDir(t)
	os.Symlink(r.o.Dir, link)
	r.o.Dir = link
	p := r.start()
	if why := p.Stale(); why != "" {
		t.Errorf("got %q", why)
	}
	os.Remove(link)
	os.Symlink(next, link)
	if why := r.adopted(p).Stale(); why != "its directory is "+next+" now" {
		t.Errorf("got %q", why)
	}
}
