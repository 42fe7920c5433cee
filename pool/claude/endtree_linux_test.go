package claude

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"iris/pool"
)

// forests calls f for each kind of child, with and without a reaper.
func forests(t *testing.T, f func(t *testing.T, p *Process, child procID, stays bool)) {
	for _, kind := range []string{"session", "group", "plain", "hold", "daemon"} {
		for _, reaped := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, reaped), func(t *testing.T) {
				r := fakeRig(t, "--fake-deaf=end,eof")
				r.o.Grace = 100 * time.Millisecond
				if reaped {
					reaper, err := NewReaper()
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(reaper.Close)
					r.o.Reaper = reaper
				}
				p := r.start()
				child := identify(atoi(t, send(t, p, "fork:"+kind+":1m").Text))
				defer child.signal(syscall.SIGKILL)
				f(t, p, child, kind == "daemon")
				if reaped && kind != "daemon" {
					eventually(t, "no zombie is left", func() bool { return !slices.ContainsFunc(children(os.Getpid()), zombie) })
				}
			})
		}
	}
}

func zombie(pid int) bool {
	s, ok := readStat(pid)
	return ok && s.gone()
}

func TestStopEndsTheTree(t *testing.T) {
	forests(t, func(t *testing.T, p *Process, child procID, stays bool) {
		p.Stop()
		if child.alive() != stays {
			t.Errorf("alive: got %v, want %v", !stays, stays)
		}
	})
}

func TestDeathEndsTheTree(t *testing.T) {
	forests(t, func(t *testing.T, p *Process, child procID, stays bool) {
		if _, err := p.Check(context.Background(), true); err != nil { // read after the tree was looked at
			t.Fatal(err)
		}
		p.ident.signal(syscall.SIGKILL)
		<-p.Done()
		if child.alive() != stays {
			t.Errorf("alive: got %v, want %v", !stays, stays)
		}
	})
}

func TestDeathInMidTurnEndsTheTool(t *testing.T) {
	p := fakeRig(t).start()
	u := begin(t, context.Background(), p, "fork:tool:1m", `"running"`)
	eventually(t, "the tool runs", func() bool { return len(below(p.o.ID, p.PID())) == 1 })
	p.ident.signal(syscall.SIGKILL)
	if _, err := u.wait(t); !errors.Is(err, pool.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if left := below(p.o.ID, 0); len(left) > 0 {
		t.Errorf("left: %v", left)
		endAll(left)
	}
}

// A tool's background job has lost its parent but is in the tool's session.
func TestStopEndsTheSessionsOfTools(t *testing.T) {
	p := scriptRig(t, `setsid sh -c '(sleep 310 &); sleep 311' & echo '{"type":"result","subtype":"success"}'; read l; exit 0`).start()
	ask(t, p, "x", "")
	eventually(t, "all three are there", func() bool { return len(below(p.o.ID, p.PID())) == 3 })
	p.Stop()
	if left := below(p.o.ID, 0); len(left) > 0 {
		t.Errorf("left: %v", left)
		endAll(left)
	}
}

// below returns the processes with the mark of id, but for the agent itself.
func below(id string, agent int) []int {
	var out []int
	for _, s := range processes() {
		if s.pid != agent && !s.gone() && marked(s.pid, id) {
			out = append(out, s.pid)
		}
	}
	return out
}
