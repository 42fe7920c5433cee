package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"iris/config"
	"iris/ipc"
)

// A configuration holds the current configuration. Its files are not watched: look checks
// them before each call of a client and before an agent starts or gets a message.
type configuration struct {
	// Not changed after the start.
	paths     config.Paths
	overrides []config.Override
	log       *slog.Logger
	level     *slog.LevelVar // log level
	reloaders []reloader

	current atomic.Pointer[config.Config]
	refused atomic.Pointer[string] // why the last reload was refused, nil if it was not

	mu     sync.Mutex // held by look and reload; protects the fields below
	looked time.Time  // when the last look began
	stamp  string     // identifies the files as they were last read
}

// A reloader applies a changed configuration to a part of the daemon.
type reloader struct {
	name  string
	apply func(*config.Config)
}

// reloaders lists the parts that do not read the configuration at each use.
func (d *Daemon) reloaders() []reloader {
	return []reloader{
		{"log", func(c *config.Config) { d.config.level.Set(logLevel(c)) }},
		{"umask", func(c *config.Config) { syscall.Umask(int(c.Umask)) }},
		{"pool", func(c *config.Config) { d.pool.Reconfigure(limits(c)) }},
		{"notify", func(*config.Config) { d.notify.ClearWarnings() }},
		{"accounts", func(*config.Config) { d.agents.RenewAccounts() }},
		{"agents", d.retireUnnamed},
		{"held conversations", func(*config.Config) { d.delivery.ReleaseTeams() }},
	}
}

// open loads the configuration for the first time.
func (c *configuration) open(paths config.Paths, overrides []config.Override) (*config.Config, error) {
	c.paths, c.overrides = paths, overrides
	c.stamp, _ = config.Stamp(paths)
	cfg, err := config.Load(paths, overrides...)
	if err == nil {
		c.current.Store(cfg)
	}
	return cfg, err
}

// Load returns the current configuration.
func (c *configuration) Load() *config.Config { return c.current.Load() }

// look reads the files again if they have changed. It may wait for a second while they are
// being written. Calls that come during a look share the next one.
func (c *configuration) look() {
	asked := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.looked.After(asked) {
		return
	}
	c.looked = time.Now()
	if stamp, _ := config.Stamp(c.paths); stamp != c.stamp {
		c.reloadLocked(config.SettledStamp(c.paths))
	}
}

// reload takes up what a person may have changed: the profile, the files, and the cause
// for which agents did not start.
func (d *Daemon) reload() (changes []string, err error) {
	d.agents.Env.Refresh()
	changes, err = d.config.reload()
	d.agents.RenewAccounts()
	d.pool.Forgive()
	return changes, err
}

// reload reads the files again, and returns what has changed in words; nil if nothing has.
func (c *configuration) reload() (changes []string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamp, _ := config.Stamp(c.paths)
	return c.reloadLocked(stamp)
}

// reloadLocked applies a changed configuration. If the new configuration is bad, the old one
// stays, and status reports the error. Running turns go on: agents that were started with
// other settings are replaced between turns.
func (c *configuration) reloadLocked(stamp string) (changes []string, err error) {
	c.stamp = stamp // taken before the read: the next look sees later changes
	cfg, err := config.Load(c.paths, c.overrides...)
	if err == nil {
		err = c.stillThere(cfg)
	}
	if err != nil {
		why := err.Error()
		c.refused.Store(&why)
		c.log.Error("configuration not reloaded, the old one stays", "err", err)
		return nil, err
	}
	c.refused.Store(nil)
	old := c.current.Swap(cfg)
	if reflect.DeepEqual(old, cfg) {
		return nil, nil
	}
	for _, r := range c.reloaders {
		c.log.Debug("configuration applied", "to", r.name)
		r.apply(cfg)
	}
	c.log.Info("configuration reloaded", "teams", len(cfg.Teams), "max_processes", cfg.MaxProcesses)
	return append([]string{}, config.Changes(old, cfg)...), nil
}

// stillThere refuses a configuration whose main file has disappeared: an editor or a
// checkout may have removed it for a moment.
func (c *configuration) stillThere(cfg *config.Config) error {
	path := c.paths.Config
	if slices.Contains(c.Load().Files, path) && !slices.Contains(cfg.Files, path) {
		return fmt.Errorf("%s is missing, and the configuration from before it went stays in force; "+
			"put it back, or go on without it by \"iris daemon restart\"", path)
	}
	return nil
}

// A lookingServer calls look before each handler.
type lookingServer struct {
	*ipc.Server
	config *configuration
}

func (s lookingServer) Handle(name string, h ipc.Handler) { s.Server.Handle(name, s.looking(h)) }

func (s lookingServer) looking(h ipc.Handler) ipc.Handler {
	return func(ctx context.Context, c *ipc.Call) (any, error) {
		s.config.look()
		return h(ctx, c)
	}
}

// watchSignals handles signals until ctx ends: SIGHUP reloads, the others stop the daemon.
func (d *Daemon) watchSignals(ctx context.Context) {
	signals := make(chan os.Signal, 4)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if !slices.Contains(d.opts.Ignored, s) {
			signal.Notify(signals, s)
		}
	}
	defer signal.Stop(signals)
	stops := 0
	for {
		var sig os.Signal
		select {
		case <-ctx.Done():
			return
		case sig = <-signals:
		case sig = <-d.life.quits:
		}
		d.log.Info("signal", "signal", sig.String())
		if sig == syscall.SIGHUP {
			d.reload()
			continue
		}
		switch stops++; stops {
		case 1:
			d.life.wg.Go(func() {
				d.config.look() // for drain_timeout; in the background, since a file system may hang
				d.life.quit()
			})
		case 2:
			d.life.quit()
			d.life.forceNow()
			signal.Reset(syscall.SIGTERM, syscall.SIGINT) // a third one ends the process
		}
	}
}
