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

// firstPassedFD is the descriptor of the first socket that a service manager passes
// on.
const firstPassedFD = 3

// Service is what a service manager has told this process: systemd, by the
// protocols of sd_notify(3) and sd_listen_fds(3). The zero value is no manager.
type Service struct {
	notices  string        // the socket for what we tell it
	watchdog time.Duration // it wants a sign of life at least this often; 0 for never
	passedFD int           // descriptor of a listening socket, 0 for none
}

// TakeService reads what the manager has put into the environment, and takes it
// out of there: no child may think that it is meant. What names another process
// was left by a careless ancestor and counts for nothing.
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

// Descriptors lists what has to stay open.
func (s Service) Descriptors() []int {
	if s.passedFD == 0 {
		return nil
	}
	return []int{s.passedFD}
}

// managed reports whether there is a manager.
func (s Service) managed() bool { return s.notices != "" || s.passedFD != 0 }

// environ is what the next program in this process is to be told. It gets the
// socket in its hand-over.
func (s Service) environ() (env []string) {
	if s.notices != "" {
		env = append(env, "NOTIFY_SOCKET="+s.notices)
	}
	if s.watchdog > 0 {
		env = append(env, "WATCHDOG_USEC="+strconv.FormatInt(s.watchdog.Microseconds(), 10))
	}
	return env
}

// Tell sends one notice, such as "READY=1", of any number of lines. Without a
// manager it does nothing; one that does not listen any more is no harm.
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

// extend asks for more time than the manager allows for what is under way.
func extend(d time.Duration) string {
	return "EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10)
}

// statusEvery is how often the manager is told how it goes when it wants no
// sign of life.
const statusEvery = time.Minute

// tellAlive gives the manager a sign of life twice as often as it wants one, and
// only when the daemon really lives: the pool's lock can be had, and the
// journal's committer answers. While either hangs it says nothing, and the
// manager ends the daemon; the turns outlive that.
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

// summary is the pool in one line.
func summary(st pool.Status[*claude.Process]) string {
	busy := 0
	for _, p := range st.Processes {
		if p.State == pool.Busy {
			busy++
		}
	}
	return fmt.Sprintf("%d of at most %d agents, %d in a turn; %d messages wait", len(st.Processes), st.Max, busy, st.Queued)
}

// tellReady says that the socket answers.
func (d *Daemon) tellReady() {
	if err := d.opts.Service.Tell("READY=1", "STATUS="+summary(d.pool.Snapshot())); err != nil {
		d.log.Warn("service manager not told", "err", err)
	}
}

// tellStopping says that the daemon is about to end, and by when.
func (d *Daemon) tellStopping() {
	cfg := d.config.Load()
	d.opts.Service.Tell("STOPPING=1", "STATUS=stopping", extend(cfg.DrainTimeout+4*cfg.StopGrace+10*time.Second))
}

// startedInBackground reports that no person has started this daemon, so that its own
// environment is nobody's.
func (d *Daemon) startedInBackground() bool {
	return d.opts.Ready != nil || d.opts.Service.managed() || d.opts.Handover != nil && d.opts.Handover.Login
}

// inherit makes the listener of a socket that the manager has lent.
func (s Service) inherit(path string) (*ipc.Listener, error) {
	l, err := ipc.Inherit(s.passedFD, path)
	if err != nil {
		return nil, fmt.Errorf("socket activation: %w", err)
	}
	return l, nil
}
