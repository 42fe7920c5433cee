package daemon

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// firstPassedFD is the first descriptor that a service manager passes.
const firstPassedFD = 3

// Service is the connection to a service manager such as systemd, by the protocols of
// sd_notify(3) and sd_listen_fds(3). The zero value means no manager.
type Service struct {
	notices  string        // the manager's socket for notices
	watchdog time.Duration // longest time between two signs of life; 0 if the manager wants none
	passedFD int           // listening socket from the manager, 0 for none
}

// TakeService reads the manager's variables and removes them from the environment, so that
// no child uses them. It ignores variables that name another process.
func TakeService() (Service, error) {
	s := Service{notices: os.Getenv("NOTIFY_SOCKET")}
	if forThisProcess("WATCHDOG_PID") || os.Getenv("WATCHDOG_PID") == "" {
		usec, _ := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
		s.watchdog = time.Duration(max(0, usec)) * time.Microsecond
	}
	passed := 0
	if forThisProcess("LISTEN_PID") {
		passed, _ = strconv.Atoi(os.Getenv("LISTEN_FDS"))
	}
	for _, name := range []string{
		"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID",
	} {
		os.Unsetenv(name)
	}
	if passed > 1 {
		return s, fmt.Errorf("the service manager passes on %d sockets, and the daemon takes one: leave one ListenStream=", passed)
	}
	if passed == 1 {
		s.passedFD = firstPassedFD
	}
	return s, nil
}

func forThisProcess(name string) bool { return os.Getenv(name) == strconv.Itoa(os.Getpid()) }

// Descriptors lists the descriptors that must stay open.
func (s Service) Descriptors() []int {
	if s.passedFD == 0 {
		return nil
	}
	return []int{s.passedFD}
}

// managed reports whether there is a manager.
func (s Service) managed() bool { return s.notices != "" || s.passedFD != 0 }

// environ returns the manager's variables for the next program in this process. It gets the
// socket in the Handoff.
func (s Service) environ() (env []string) {
	if s.notices != "" {
		env = append(env, "NOTIFY_SOCKET="+s.notices)
	}
	if s.watchdog > 0 {
		env = append(env, "WATCHDOG_USEC="+strconv.FormatInt(s.watchdog.Microseconds(), 10))
	}
	return env
}

// Tell sends a notice of any number of lines, such as "READY=1". Without a manager it does
// nothing.
func (s Service) Tell(lines ...string) error {
	if s.notices == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.notices, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(time.Second))
	_, err = c.Write([]byte(strings.Join(lines, "\n")))
	return err
}

// extend returns the line that asks the manager for more time to start or stop.
func extend(d time.Duration) string {
	return "EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10)
}

// statusEvery is how often the manager gets a status if it wants no sign of life.
const statusEvery = time.Minute

// tellAlive sends the manager a sign of life twice as often as it wants one, each time after
// it got the pool's lock and an answer of the journal's committer. If either hangs, the
// manager ends the daemon; the running turns go on in their agents.
func (d *Daemon) tellAlive(ctx context.Context) {
	s := d.opts.Service
	every := statusEvery
	if s.watchdog > 0 {
		every = s.watchdog / 2
	}
	tick := time.NewTicker(max(every, time.Millisecond))
	defer tick.Stop()
	for {
		st := d.pool.Snapshot()
		d.store.Ping()
		s.Tell("WATCHDOG=1", "STATUS="+summary(st))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// summary describes the pool in one line.
func summary(st pool.Status[*claude.Process]) string {
	busy := 0
	for _, p := range st.Processes {
		if p.State == pool.Busy {
			busy++
		}
	}
	return fmt.Sprintf("%d of at most %d agents, %d in a turn; %d messages wait", len(st.Processes), st.Max, busy, st.Queued)
}

// tellReady tells the manager that the socket answers.
func (d *Daemon) tellReady() {
	if err := d.opts.Service.Tell("READY=1", "STATUS="+summary(d.pool.Snapshot())); err != nil {
		d.log.Warn("service manager not told", "err", err)
	}
}

// tellStopping tells the manager that the daemon is stopping, and how long that may take.
func (d *Daemon) tellStopping() {
	cfg := d.config.Load()
	d.opts.Service.Tell("STOPPING=1", "STATUS=stopping", extend(cfg.DrainTimeout+4*cfg.StopGrace+10*time.Second))
}

// startedInBackground reports whether a client or a service manager started this daemon, and
// not a person. Agents then get the environment of the login shell.
func (d *Daemon) startedInBackground() bool {
	return d.opts.Ready != nil || d.opts.Service.managed() || d.opts.Handoff != nil && d.opts.Handoff.Login
}

// inherit returns the listener of the socket that the manager passed.
func (s Service) inherit(path string) (*ipc.Listener, error) {
	l, err := ipc.Inherit(s.passedFD, path)
	if err != nil {
		return nil, fmt.Errorf("socket activation: %w", err)
	}
	return l, nil
}
