package agents

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeShell is a login shell that takes its time.
type fakeShell struct {
	mu    sync.Mutex
	takes time.Duration
	err   error
	runs  int
}

func (s *fakeShell) run(ctx context.Context) (map[string]string, error) {
	s.mu.Lock()
	s.runs++
	takes, err := s.takes, s.err
	s.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	return map[string]string{"PATH": "/good"}, nil
}

func (s *fakeShell) set(takes time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes, s.err = takes, err
}

// profiled runs f in a bubble with a profile whose shell is s, and the usual ShellTimeout.
func profiled(t *testing.T, s *fakeShell, f func(*testing.T, *profile)) {
	old := ShellTimeout
	defer func() { ShellTimeout = old }()
	ShellTimeout = 10 * time.Second
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		f(t, &profile{shell: "/bin/sh -lc", ctx: ctx, wg: &wg, run: s.run})
	})
}

// got checks an answer and how long it took.
func got(t *testing.T, what string, p *profile, start, answered bool, took time.Duration) {
	t.Helper()
	begun := time.Now()
	if vars := p.get(t.Context(), start); (vars != nil) != answered {
		t.Errorf("%s: got %v", what, vars)
	}
	if d := time.Since(begun); d != took {
		t.Errorf("%s: took %v, want %v", what, d, took)
	}
}

func TestStartWaitsForTheShellButNotWithoutEnd(t *testing.T) {
	shell := &fakeShell{takes: 15 * time.Second}
	profiled(t, shell, func(t *testing.T, p *profile) {
		p.refresh(headStart)
		got(t, "slow shell", p, true, false, 10*time.Second)
		if p.problem() != "" {
			t.Errorf("within its time: %s", p.problem())
		}
		time.Sleep(time.Second)
		got(t, "late start", p, true, false, 0)
		if got, want := p.problem(), "the login shell (/bin/sh -lc): no answer within 10s so far"; got != want {
			t.Errorf("about a shell that is late: got %q, want %q", got, want)
		}
		time.Sleep(5 * time.Second)
		got(t, "when it has answered", p, true, true, 0)
		if p.problem() != "" || p.duration() != 15*time.Second || shell.runs != 1 {
			t.Errorf("%q, took %v, %d runs", p.problem(), p.duration(), shell.runs)
		}
	})
}

func TestFailedShellIsAskedAgainAtTheNextStart(t *testing.T) {
	shell := &fakeShell{takes: time.Second, err: errors.New("exit status 1")}
	profiled(t, shell, func(t *testing.T, p *profile) {
		p.refresh(0)
		got(t, "first start", p, true, false, time.Second)
		got(t, "a warm turn", p, false, false, 0)
		if p.problem() != "the login shell (/bin/sh -lc): exit status 1" {
			t.Errorf("got %q", p.problem())
		}
		shell.set(time.Second, nil)
		got(t, "next start", p, true, true, time.Second)
		if p.problem() != "" || shell.runs != 2 {
			t.Errorf("%q, %d runs", p.problem(), shell.runs)
		}
	})
}

func TestStartsSideBySideShareTheShell(t *testing.T) {
	shell := &fakeShell{takes: time.Second, err: errors.New("exit status 1")}
	profiled(t, shell, func(t *testing.T, p *profile) {
		for range 2 {
			var starts sync.WaitGroup
			for range 10 {
				starts.Go(func() { p.get(t.Context(), true) })
			}
			starts.Wait()
		}
		if shell.runs != 2 {
			t.Errorf("%d runs for two groups of starts", shell.runs)
		}
	})
}

func TestShellThatAlwaysFailsDelaysTwoStartsOnly(t *testing.T) {
	shell := &fakeShell{takes: time.Second, err: errors.New("exit status 1")}
	profiled(t, shell, func(t *testing.T, p *profile) {
		got(t, "first", p, true, false, time.Second)
		got(t, "second", p, true, false, time.Second)
		got(t, "third", p, true, false, 0)
		if shell.runs != 2 {
			t.Errorf("%d runs", shell.runs)
		}
		time.Sleep(pauseAfterFailures)
		shell.set(time.Second, nil)
		got(t, "after a pause", p, true, false, 0)
		time.Sleep(2 * time.Second)
		got(t, "the answer of a run that nothing has waited for", p, false, true, 0)
	})
}

func TestRefreshIsAwaitedByTheNextTurn(t *testing.T) {
	shell := &fakeShell{takes: time.Second}
	profiled(t, shell, func(t *testing.T, p *profile) {
		got(t, "first", p, true, true, time.Second)
		shell.set(2*time.Second, errors.New("exit status 1"))
		p.refresh(0)
		got(t, "the answer from before", p, false, true, 2*time.Second)
		if p.problem() == "" {
			t.Error("the failure is not said")
		}
		shell.set(time.Hour, nil)
		p.refresh(0)
		time.Sleep(time.Second)
		shell.set(time.Second, nil)
		p.refresh(0) // while the one before hangs, which ends it
		time.Sleep(time.Second / 2)
		got(t, "the last refresh counts", p, false, true, time.Second/2)
		if p.problem() != "" {
			t.Error(p.problem())
		}
	})
}

func TestCancelledStartDoesNotWait(t *testing.T) {
	profiled(t, &fakeShell{takes: time.Hour}, func(t *testing.T, p *profile) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if p.get(ctx, true); time.Since(begun) != time.Second {
			t.Errorf("took %v", time.Since(begun))
		}
	})
}

// Commands such as status tell the problems, and must not wait for a shell.
func TestWarningsDoNotWaitForTheShell(t *testing.T) {
	shell := &fakeShell{err: errors.New("exit status 1")}
	profiled(t, shell, func(t *testing.T, p *profile) {
		e := &Environment{login: p, interactive: &profile{ctx: p.ctx, wg: p.wg, run: shell.run}}
		p.get(t.Context(), true)
		shell.set(time.Hour, nil)
		e.Refresh()
		begun := time.Now()
		if got := e.Warnings(); len(got) != 1 || time.Since(begun) != 0 {
			t.Errorf("got %q after %v", got, time.Since(begun))
		}
	})
}
