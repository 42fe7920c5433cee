package daemon

import (
	"context"
	"os"
	"os/signal"
	"reflect"
	"syscall"

	"iris/config"
)

// watchSignals turns signals into what they ask for until ctx ends.
func (d *Daemon) watchSignals(ctx context.Context) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	stops := 0
	for {
		var sig os.Signal
		select {
		case <-ctx.Done():
			return
		case sig = <-signals:
		}
		d.log.Info("signal", "signal", sig.String())
		if sig == syscall.SIGHUP {
			d.env.refresh()
			d.reload()
			continue
		}
		switch stops++; stops {
		case 1:
			d.quit()
		case 2:
			d.forceNow()
			signal.Reset(syscall.SIGTERM, syscall.SIGINT) // a third one ends the process
		}
	}
}

// watchConfig reloads when the files change.
func (d *Daemon) watchConfig(ctx context.Context) {
	err := config.Watch(ctx, d.opts.Paths, func() { d.reload() })
	if err != nil && ctx.Err() == nil {
		d.log.Warn("configuration files are not watched; send SIGHUP or run iris daemon reload after a change", "err", err)
	}
}

// reload puts a changed configuration in service, and says whether it has
// changed. When the new one is bad the old one stays, and the error is kept
// for status. Running turns are not touched: agents that were started with
// other settings are replaced between turns.
func (d *Daemon) reload() (changed bool, err error) {
	d.reloadMu.Lock()
	defer d.reloadMu.Unlock()
	cfg, err := config.Load(d.opts.Paths, d.opts.Overrides...)
	if err != nil {
		why := err.Error()
		d.refused.Store(&why)
		d.log.Error("configuration not reloaded, the old one stays", "err", err)
		return false, err
	}
	d.refused.Store(nil)
	old := d.config.Swap(cfg)
	if reflect.DeepEqual(old, cfg) {
		return false, nil
	}
	d.unnotified.Store(nil) // the next approval shows whether that is mended
	d.level.Set(logLevel(cfg))
	syscall.Umask(int(cfg.Umask))
	d.pool.Reconfigure(limits(cfg))
	d.log.Info("configuration reloaded", "teams", len(cfg.Teams), "max_processes", cfg.MaxProcesses)
	return true, nil
}
