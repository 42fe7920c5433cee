package systest

import (
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

// Begin gives the tests of a package the same world whoever runs them; TestMain calls
// it. The umask is the usual one: iris refuses files that others may write. Directories
// for temporary files have short and plain names, since the path of a socket is limited,
// and messages quote the others. Signals that the caller ignores, as nohup does, are
// heard again by what a test starts.
func Begin() {
	syscall.Umask(0o022)
	if dir := os.TempDir(); len(dir) > 50 || !plain.MatchString(dir) {
		os.Setenv("TMPDIR", "/tmp")
	}
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}

var plain = regexp.MustCompile(`^[A-Za-z0-9/._+-]+$`)
