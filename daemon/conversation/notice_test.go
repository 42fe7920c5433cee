package conversation

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"iris/daemon/journal"
	"iris/daemon/store"
	"iris/pool"
	"iris/pool/turn"
)

// What a conversation is to say moves with it: once, under its new name alone.
func TestNoticesMove(t *testing.T) {
	s, _ := opened(t, store.Options{})
	r := New(s)
	dir, team := pool.Key{Team: "/src/api", Session: "s"}, pool.Key{Team: "api", Session: "s"}
	r.NoteLostWork(dir, []string{"make"})
	r.NoteUnkept(dir, "the disk is full")
	if err := r.Move(dir.Team, team.Team); err != nil {
		t.Fatal(err)
	}
	const want = "team /src/api@s: background work has ended with the agent that ran it: make; team /src/api@s: the disk is full"
	if all := r.Notices(); len(all) != 1 || all[0] != (Notice{team, want}) {
		t.Errorf("got %q", all)
	}
	if got := r.TakeNotice(team); got != want {
		t.Errorf("got %q", got)
	}
	if all := r.Notices(); len(all) != 0 {
		t.Errorf("left: %q", all)
	}
}

// That a conversation is not kept is said once an hour, and at once if the reason is another.
func TestUnkeptConversationIsNoticedOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(store.New(store.Options{}))
		var log bytes.Buffer
		r.store.Log = slog.New(slog.NewTextHandler(&log, nil))
		k := pool.Key{Team: "api"}
		for i, c := range []struct {
			text   string
			after  time.Duration
			notice bool
		}{
			{"full", 0, true}, {"full", time.Minute, false}, {"broken", time.Minute, true},
			{"broken", unkeptEvery, true}, {"broken", unkeptEvery - 1, false},
		} {
			time.Sleep(c.after)
			r.NoteUnkept(k, c.text)
			if got := r.TakeNotice(k); (got != "") != c.notice || c.notice && got != "team api: "+c.text {
				t.Errorf("%d: got %q", i, got)
			}
			if lines := strings.Count(log.String(), "\n"); (lines > 0) != c.notice {
				t.Errorf("%d: logged %s", i, &log)
			}
			log.Reset()
		}
	})
}

// A change that the journal cannot take ends the daemon.
func TestFailedChangesAreHeeded(t *testing.T) {
	k := pool.Key{Team: "api"}
	for name, change := range map[string]func(*Registry) error{
		"reset":  func(r *Registry) error { return r.Reset(k) },
		"rewind": func(r *Registry) error { return r.Rewind(k, journal.Session{}, "") },
		"move":   func(r *Registry) error { return r.Move("api", "web") },
		"use": func(r *Registry) error {
			r.Use(k, &turn.Result{SessionID: "x", Turns: 1}, "")
			return r.store.Fatal()
		},
		"end of a rewind": func(r *Registry) error { r.EndRewind(k, "x"); return r.store.Fatal() },
	} {
		fatal := 0
		s, path := opened(t, store.Options{OnFatal: func() { fatal++ }})
		if err := errors.Join(s.SetSession(Name(k), journal.Session{ID: "x", Rewound: "u"}), os.Remove(path)); err != nil {
			t.Fatal(err)
		}
		if err := change(New(s)); err == nil || fatal != 1 {
			t.Errorf("%s: got %v, and the daemon was ended %d times", name, err, fatal)
		}
	}
}
