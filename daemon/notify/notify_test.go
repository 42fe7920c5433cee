package notify

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"iris/config"
	"iris/ipc"
)

// Each event runs the command where notify_on has its word, and no word of the
// configuration is without an event.
func TestWordsNameEvents(t *testing.T) {
	words := map[string]bool{}
	for _, tt := range []struct{ typ, detail, want string }{
		{"approval-asked", "k7qm2: Bash", "approval"},
		{"approval-decided", "k7qm2: Bash: allowed by pid 1", ""},
		{"message-response", "done", ""},
		{"message-ended", "done", "done"},
		{"message-ended", "done: denied", "done"},
		{"message-ended", "failed", "failed"},
		{"message-ended", "failed: rate-limited", "failed"},
		{"message-ended", "expired", "failed"},
		{"message-ended", "cancelled", ""},
		{"message-ended", "unknown", "unknown"},
		{"limited", "until 18:00", "limited"},
		{"budget-low", "", "budget"},
		{"budget-spent", "", "budget"},
		{"health-check", "", ""},
	} {
		if got := wordOf(&ipc.Event{Type: tt.typ, Detail: tt.detail}); got != tt.want {
			t.Errorf("%s, %q: got %q, want %q", tt.typ, tt.detail, got, tt.want)
		}
		words[tt.want] = true
	}
	for _, k := range config.Keys() {
		for _, w := range k.Words {
			if k.Name == "notify_on" && !words[w] {
				t.Errorf("no event has the word %s of notify_on", w)
			}
		}
	}
}

// An event runs the command once, and only where the settings want it.
func TestEventIsTakenOnceIfItIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		h := newHouse(t, onDone("/notify"), s.run)
		defer h.Close()
		defer close(s.end)
		set := func(s config.Settings) {
			synctest.Wait()
			h.settings.Store(&s)
		}
		h.Take(done(1))
		h.Take(done(1))
		h.Take(ipc.Event{Seq: 2, Type: "message-ended", Detail: "failed"})
		h.Take(ipc.Event{Seq: 3, Type: "health-check"})
		set(config.Settings{Notify: []string{"/notify"}})
		h.Take(done(4))
		set(onDone())
		h.Take(done(5))
		set(onDone("/notify"))
		h.Take(done(6))
		h.Take(done(2))
		synctest.Wait()
		if got := s.seqs(); !slices.Equal(got, []uint64{1, 6}) {
			t.Errorf("ran for %d", got)
		}
	})
}

// Four commands run at a time, a hundred events wait, and of more the oldest is dropped,
// logged and counted. Nothing waits for a command.
func TestCommandsAndWaitingEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		h := newHouse(t, onDone("/notify"), s.run)
		defer h.Close()
		for seq := range uint64(107) {
			h.Take(done(seq + 1))
		}
		synctest.Wait()
		if got := s.seqs(); !slices.Equal(got, []uint64{1, 2, 3, 4}) {
			t.Errorf("running: %d", got)
		}
		if n := strings.Count(h.logged(), "event dropped"); n != 3 || !strings.Contains(h.logged(), "message=m5 ") {
			t.Errorf("%d events dropped: %s", n, h.logged())
		}
		if w := h.Warnings(); len(w) != 1 || !strings.HasPrefix(w[0], "3 events were dropped") {
			t.Errorf("warnings %q", w)
		}
		s.end <- nil
		synctest.Wait()
		if got := s.seqs(); !slices.Equal(got, []uint64{1, 2, 3, 4, 8}) {
			t.Errorf("after an end: %d", got)
		}
		close(s.end)
		synctest.Wait()
		if got := s.seqs(); len(got) != 104 || got[103] != 107 {
			t.Errorf("in the end: %d", got)
		}
		if h.ClearWarnings(); len(h.Warnings()) > 0 {
			t.Errorf("after a reload: %q", h.Warnings())
		}
	})
}

// A paused Notifier starts no command. The next program of the process runs the commands for
// the events that wait, and none for an earlier event.
func TestWaitingEventsAreHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		defer close(s.end)
		h := newHouse(t, onDone("/notify"), s.run)
		h.Pause()
		h.Take(done(1))
		h.Take(done(2))
		synctest.Wait()
		waiting := h.HandOver()
		if got := s.seqs(); len(got) > 0 || len(waiting) != 2 {
			t.Errorf("ran for %d, %d wait", got, len(waiting))
		}
		h.Close()
		o := h.o
		o.Last, o.Waiting = 2, waiting
		next := New(o)
		defer next.Close()
		next.Take(done(2))
		synctest.Wait()
		if got := s.seqs(); len(got) > 0 {
			t.Errorf("ran for %d before the daemon was up", got)
		}
		next.Resume()
		synctest.Wait()
		if got := s.seqs(); !slices.Equal(got, []uint64{1, 2}) {
			t.Errorf("ran for %d", got)
		}
		for range 2 {
			s.end <- nil
		}
	})
}
