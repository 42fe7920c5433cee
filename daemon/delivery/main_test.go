package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"iris/config"
	"iris/config/sys/systest"
	"iris/daemon/agents"
	"iris/daemon/approval"
	"iris/daemon/conversation"
	"iris/daemon/journal"
	"iris/daemon/store"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/claude/claudetest"
)

// TestMain lets the test binary be the scripted agent.
func TestMain(m *testing.M) {
	claudetest.Main()
	systest.Begin()
	goleak.VerifyTestMain(m)
}

var api = pool.Key{Team: "api", Session: "s"}

// fakeTeam returns the configuration of a team with the scripted agent.
func fakeTeam(t *testing.T, name string) string {
	t.Helper()
	return fmt.Sprintf("env = { GORACE = \"atexit_sleep_ms=0\" }\n[teams.%s]\ndir = %q\ncommand = %q\n", name, t.TempDir(), claudetest.Install(t.TempDir()))
}

// configured loads a configuration in new directories.
func configured(t *testing.T, toml string) (config.Paths, *config.Config) {
	t.Helper()
	dir := t.TempDir()
	for name, sub := range map[string]string{"HOME": "", "XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": "run"} {
		t.Setenv(name, filepath.Join(dir, sub))
	}
	t.Setenv("IRIS_SOCKET", filepath.Join(dir, "run", "iris.sock"))
	paths, err := config.Resolve("")
	if err == nil {
		err = paths.MakeDirs()
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(paths.Config), 0o700)
	}
	if err == nil {
		err = os.WriteFile(paths.Config, []byte(toml), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(paths)
	if err != nil {
		t.Fatal(err)
	}
	return paths, cfg
}

// newDispatcher returns a Dispatcher with all that it needs, without a daemon.
func newDispatcher(t *testing.T, toml string) (d *Dispatcher) {
	t.Helper()
	paths, cfg := configured(t, toml)
	log := slog.New(slog.DiscardHandler)
	serving, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	s := store.New(store.Options{
		Opened: closed, Go: wg.Go, OnFull: func() {}, OnFatal: func() {}, IsLive: func(id string) bool { return d.IsLive(id) },
	})
	s.Log = log
	var err error
	if s.Journal, err = journal.Open(paths.Journal); err != nil {
		t.Fatal(err)
	}
	current := func() *config.Config { return cfg }
	approvals := approval.New(approval.Options{
		Team:   func(k pool.Key) *config.Team { return agents.TeamSettings(cfg, k.Team) },
		Report: func(string, string, pool.EventType, string) string { return "" },
		Log:    log,
	})
	conversations := conversation.New(s)
	starter, err := agents.New(agents.Options{
		Paths: paths, Prefix: "test", Config: current, Look: func() {}, Store: s, Conversations: conversations, Log: log,
		Goroutines: &wg, Opened: closed, Serving: serving, HasSuccessor: func() bool { return false },
		Asked: approvals.Asked, Withdrawn: approvals.Withdrawn, Approvals: func(string) []ipc.Approval { return nil },
		Terminal: func(string) (k pool.Key, ok bool) { return k, false },
		Waits:    func(message, process, on string) { d.TurnWaits(message, process, on) },
		Teamless: func(k pool.Key) { d.HoldTeamless(k) }, NeedsSpool: func(process string) bool { return d.NeedsSpool(process) },
		FreeSpace: func() { d.DropOutputs() },
	})
	if err != nil {
		t.Fatal(err)
	}
	starter.Pool = pool.New(pool.Config[*claude.Process]{
		Limits: pool.Limits{MaxProcesses: 2}, Start: starter.Start, Prefix: "test",
		Settings: func(string) pool.Settings { return pool.Settings{IdleTimeout: time.Hour, QueueLimit: 10} },
	})
	t.Cleanup(func() {
		starter.Pool.Close()
		approvals.Close()
		s.StopWaiting()
		end()
		wg.Wait()
		d.DropOutputs()
		starter.Close()
		s.Close()
	})
	return New(Options{
		Paths: paths, Config: current, Look: func() {}, Tidy: func() {}, Store: s, Conversations: conversations,
		Approvals: approvals, Agents: starter, Pool: starter.Pool, Log: log,
		Attachments: func() error { return nil },
		Opened:      closed, Serving: serving, HasSuccessor: func() bool { return false },
	})
}
