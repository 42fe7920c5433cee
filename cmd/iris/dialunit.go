package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"iris/config"
)

// unitTimeout is how long systemd may take to start the daemon.
const unitTimeout = 10 * time.Second

// startUnit has systemd start the daemon where the user wants that: then it lives
// in a control group of its own, and not in that of whoever sends the first
// message. When that fails it says so, and the caller starts one itself; should
// systemd start another one all the same, the lock lets only one of them be.
func (g *globals) startUnit(ctx context.Context, p config.Paths) {
	if !enabled(p, serviceUnit, socketUnit) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, unitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemctl", "--user", "start", serviceUnit)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+p.Runtime) // cron does not set it
	cmd.WaitDelay = time.Second
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	err := cmd.Run()
	if err == nil {
		return
	}
	why, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n")
	if ctx.Err() != nil {
		why = "no answer within " + unitTimeout.String()
	}
	say(g.stderr(), "systemd does not start %s (%s), so the daemon starts without it", serviceUnit, cmp.Or(why, err.Error()))
	say(g.stderr(), "hint: \"systemctl --user status %s\" says more", serviceUnit)
}

// wouldActivate reports that to connect would have systemd start a daemon: it has
// the socket, and no daemon runs.
func wouldActivate(p config.Paths) bool {
	return enabled(p, socketUnit) && !locked(p.Lock)
}

// locked reports whether a daemon has its lock.
func locked(path string) bool {
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close() // and with it the lock
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
