package claude

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/config/sys/systest"
	"iris/pool/claude/claudetest"
)

// unkeptRig is a rig that collects the texts of OnUnkept.
type unkeptRig struct {
	*rig
	mu   sync.Mutex
	said []string
}

func withUnkept(r *rig) *unkeptRig {
	u := &unkeptRig{rig: r}
	r.o.OnUnkept = func(text string) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.said = append(u.said, text)
	}
	return u
}

// take returns the texts since the last call, joined.
func (u *unkeptRig) take() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	said := strings.Join(u.said, "\n")
	u.said = nil
	return said
}

// home is the home directory of the agents.
func (u *unkeptRig) home() string { return lookup(u.o.Env, "HOME") }

// want checks what was said about the conversation.
func (u *unkeptRig) want(when string, words ...string) {
	u.t.Helper()
	said := u.take()
	if len(words) == 0 && said != "" {
		u.t.Errorf("%s: %s", when, said)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			u.t.Errorf("%s: got %q, want %q in it", when, said, w)
		}
	}
}

// Nothing is said while the transcript is written in time, however late that is: by a
// new agent, a resumed one, after a command, and after /clear.
func TestKeptConversationIsNotNoticed(t *testing.T) {
	for _, flags := range [][]string{nil, {"--fake-late=30ms"}, {"--fake-old", "--fake-late=100ms"}} {
		r := withUnkept(fakeRig(t, flags...))
		keepsAll(r)
	}
}

func TestRealKeptConversationIsNotNoticed(t *testing.T) { keepsAll(withUnkept(realRig(t))) }

func keepsAll(r *unkeptRig) {
	for range 2 {
		p := r.start()
		for _, text := range []string{"echo:one", "echo:two", "/context", "echo:three", "/clear", "echo:four", "status:400", "echo:five"} {
			send(r.t, p, text)
		}
		p.Stop()
		p.ResultRecorded()
		r.o.ID, r.o.SessionID = r.o.ID+"x", p.Session()
	}
	r.want("kept")
}

// An answer that Claude Code cannot write into its transcript is noticed at once, with
// the cause; so is each later one. Once it can be written, nothing is said.
func TestUnkeptConversationIsNoticed(t *testing.T) { unkeptIsNoticed(t, withUnkept(fakeRig(t))) }

func TestRealUnkeptConversationIsNoticed(t *testing.T) { unkeptIsNoticed(t, withUnkept(realRig(t))) }

func unkeptIsNoticed(t *testing.T, r *unkeptRig) {
	project := filepath.Dir(claudetest.TranscriptPath(filepath.Join(r.home(), ".claude"), r.o.Dir, "x"))
	if err := os.MkdirAll(filepath.Dir(project), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(project, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := r.start()
	p.timing.kept = 50 * time.Millisecond
	for range 2 {
		ask(t, p, "echo:one", "one")
		p.ResultRecorded()
		r.want("a file in its place", "is not being kept: "+project+" is a file")
	}
	stop(t, p)
	r.want("at its end", "the end of this conversation was not kept", project+" is a file")
	if err := os.Remove(project); err != nil {
		t.Fatal(err)
	}
	r.o.SessionID = NewSessionID()
	ask(t, r.again(), "echo:one", "one")
	r.want("after the fix")
}

// If no cause is seen, the transcript had its time. Before that an agent whose transcript
// grows is not doubted, and nobody waits for it.
func TestTranscriptThatDoesNotGrowIsNoticed(t *testing.T) {
	r := withUnkept(fakeRig(t, "--fake-late=1h"))
	p := r.start()
	p.timing.kept = 50 * time.Millisecond
	ask(t, p, "echo:one", "one")
	r.want("no file", "has not written a transcript below "+filepath.Join(r.home(), ".claude"))
	p.kept.grows, p.kept.failed, p.timing.kept = true, false, slow
	ask(t, p, "echo:two", "two")
	r.want("it did grow")
	syscall.Kill(p.PID(), syscall.SIGKILL)
	<-p.Done()
	r.want("at its end", "the end of this conversation was not kept")
}

// What has grown may still be cut short on a full disk.
func TestUnkeepableSaysWhy(t *testing.T) {
	dir := realDir(t)
	config := filepath.Join(dir, "config")
	if _, why := Unkeepable(config, dir, "", leastKept); why != "" {
		t.Errorf("not there yet: %s", why)
	}
	if _, why := Unkeepable(config, dir, "", 1<<62); !strings.Contains(why, "the disk of "+dir+" is full: ") {
		t.Errorf("full: %s", why)
	}
	project := filepath.Dir(claudetest.TranscriptPath(config, dir, "x"))
	if err := os.MkdirAll(project, 0o700); err != nil {
		t.Fatal(err)
	}
	systest.NeedsUser(t)
	if err := os.Chmod(project, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, why := Unkeepable(config, dir, "", leastKept); why != project+" cannot be written (mode 0500)" {
		t.Errorf("mode: %s", why)
	}
	if _, why := Unkeepable("/proc/1", dir, "", leastKept); why != "/proc/1 belongs to uid 0, not to you" {
		t.Errorf("owner: %s", why)
	}
}

// An agent of 2.1.332 that ends says whether it has lost records on a full disk.
func TestLostRecordsAreNoticed(t *testing.T) {
	r := withUnkept(fakeRig(t))
	p := r.start()
	for _, line := range []string{
		`{"type":"system","subtype":"session_writes_lost","error_code":"ENOSPC","lost":["global_config"]}`,
		`{"type":"system","subtype":"session_writes_lost","error_code":"ENOSPC","lost":["transcript"],"transcript_session_ids":["x"]}`,
	} {
		p.noteLost([]byte(line))
	}
	p.Stop()
	r.want("at its end", "parts of this conversation were not kept", "(ENOSPC)")
}
