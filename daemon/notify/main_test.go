package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"iris/config"
	"iris/ipc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A house has a Notifier, and what its commands and its log say.
type house struct {
	*Notifier
	settings atomic.Pointer[config.Settings]

	logMu sync.Mutex // protects log
	log   bytes.Buffer
}

// newHouse returns a house whose Notifier is not paused. run is nil for real commands.
func newHouse(t *testing.T, s config.Settings, run func(*exec.Cmd) error) *house {
	t.Helper()
	h := &house{}
	h.settings.Store(&s)
	home := t.TempDir()
	if run == nil {
		run = (*exec.Cmd).Run
	}
	h.Notifier = New(Options{
		Settings: func(string) *config.Settings { return h.settings.Load() },
		Env: func() map[string]string {
			return map[string]string{"PATH": os.Getenv("PATH"), "HOME": home, "IRIS_SOCKET": "/s"}
		},
		Run: run, Log: slog.New(slog.NewTextHandler(h, nil)),
	})
	h.Resume()
	return h
}

// Write adds to the log.
func (h *house) Write(p []byte) (int, error) {
	h.logMu.Lock()
	defer h.logMu.Unlock()
	return h.log.Write(p)
}

func (h *house) logged() string {
	h.logMu.Lock()
	defer h.logMu.Unlock()
	return h.log.String()
}

// script writes a shell script to a new directory, in which it runs.
func script(t *testing.T, text string) (path, dir string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "notify")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd "+dir+"\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, dir
}

// done is an event of a message that is done.
func done(seq uint64) ipc.Event {
	return ipc.Event{Seq: seq, Type: "message-ended", Team: "api", Message: fmt.Sprint("m", seq), Detail: "done"}
}

// onDone are settings with a command for messages that are done.
func onDone(command ...string) config.Settings {
	return config.Settings{Notify: command, NotifyOn: []string{"done"}}
}

// A stage is where fake commands run until they may end.
type stage struct {
	mu    sync.Mutex // protects began
	began []uint64   // Seq of their events
	end   chan error // has the end of one command each
}

func newStage() *stage { return &stage{end: make(chan error)} }

func (s *stage) run(cmd *exec.Cmd) error {
	var e ipc.Event
	if err := json.NewDecoder(cmd.Stdin).Decode(&e); err != nil {
		return err
	}
	s.mu.Lock()
	s.began = append(s.began, e.Seq)
	s.mu.Unlock()
	return <-s.end
}

// seqs lists the events whose commands began, sorted.
func (s *stage) seqs() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.began))
}
