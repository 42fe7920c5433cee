package systemd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"iris/config"
)

// startLimit is how long systemd may take to start the daemon, askLimit to report the
// state of its units.
const (
	startLimit = 10 * time.Second
	askLimit   = 3 * time.Second
)

// Start starts the daemon with systemd. Its error is that of systemctl, in one line.
func Start(ctx context.Context, p config.Paths) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemctl", "--user", "start", Service)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+p.Runtime) // cron does not set it
	cmd.WaitDelay = time.Second
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	err := cmd.Run()
	why, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n")
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("no answer within %s", startLimit)
	case why != "":
		return errors.New(why)
	}
	return err
}

// States returns the states of the units in systemd: "enabled", "disabled",
// "not-found" and so on. Both are empty if the user has no running manager. The error
// is exec.ErrNotFound if there is no systemd.
func States(ctx context.Context) (socket, service string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "--user", "is-enabled", Socket, Service).Output()
	if _, said := errors.AsType[*exec.ExitError](err); err != nil && !said || ctx.Err() != nil {
		return "", "", cmp.Or(err, ctx.Err())
	}
	if states := strings.Fields(string(out)); len(states) == 2 {
		return states[0], states[1], nil
	}
	return "", "", nil
}

// Lingers reports whether systemd runs this user's units without a login.
func Lingers() bool {
	u, err := user.Current()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join("/var/lib/systemd/linger", u.Username))
	return err == nil
}
