package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/adrg/xdg"
	"golang.org/x/sys/unix"

	"iris/config/sys"
)

const socketName = "iris.sock"

// LeastFree is the free space that the disk of the state directory needs for
// accepting a message: room for its answer, and as much for the files of its agent
// and the journal.
const LeastFree = 2 << 20

// Paths holds the path of every file. All are absolute; none needs to exist.
type Paths struct {
	Home    string // the user's home directory
	Config  string // config.toml
	Confd   string // directory of drop-ins, beside Config
	State   string // directory of all that the daemon keeps
	Lock    string // daemon.lock: held by the daemon, holds the path of its socket
	Start   string // start.lock: held by the client that starts a daemon
	Spool   string // directory of the agents' output
	Journal string
	Log     string
	Socket  string // where a daemon started from this environment would listen
	Usual   string // Socket without a flag and IRIS_SOCKET
	Refuge  string // where a daemon listens when it cannot make Socket any more
	Runtime string // the user's runtime directory, empty if there is none
	Units   string // directory of the user's systemd units

	fixed  bool // Socket is from a flag or IRIS_SOCKET: no other is looked for
	chosen bool // Config is from a flag or IRIS_CONFIG: it must exist
}

// Package xdg reads the environment when the program starts, and again only in
// Reload.
var (
	xdgMu   sync.Mutex // serializes calls of Reload, which writes that package's variables
	xdgRead = xdgEnv() // the environment that it has read; protected by xdgMu
)

func xdgEnv() [3]string {
	return [3]string{os.Getenv("HOME"), os.Getenv("XDG_CONFIG_HOME"), os.Getenv("XDG_STATE_HOME")}
}

// Resolve finds the paths from the current environment. A socket that is not empty
// comes from a flag and overrides IRIS_SOCKET. Nothing is created.
func Resolve(socket string) (Paths, error) {
	xdgMu.Lock()
	defer xdgMu.Unlock()
	if now := xdgEnv(); now != xdgRead {
		xdg.Reload()
		xdgRead = now
	}
	home, err := homeDir()
	if err != nil {
		return Paths{}, err
	}
	p := Paths{Home: home}
	if err := p.resolveConfig(); err != nil {
		return Paths{}, err
	}
	p.State = filepath.Join(xdgDir("XDG_STATE_HOME", xdg.StateHome, home, ".local/state"), "iris")
	p.Lock = filepath.Join(p.State, "daemon.lock")
	p.Start = filepath.Join(p.State, "start.lock")
	p.Spool = filepath.Join(p.State, "spool")
	p.Journal = filepath.Join(p.State, "journal")
	p.Log = filepath.Join(p.State, "iris.log")
	p.Units = filepath.Join(xdgDir("XDG_CONFIG_HOME", xdg.ConfigHome, home, ".config"), "systemd/user")
	p.Runtime = runtimeDir()
	p.Refuge = filepath.Join(p.State, "run", socketName)
	p.Usual = p.Refuge
	if p.Runtime != "" {
		p.Usual = filepath.Join(p.Runtime, "iris", socketName)
	}
	if err := p.resolveSocket(socket); err != nil {
		return Paths{}, err
	}
	return p, nil
}

// FindSocket returns the path of the socket on which the daemon of this state
// directory listens: the path recorded in the lock file, if a socket of this user is
// there; else the path that a daemon started now would use. For a path from a flag or
// IRIS_SOCKET only the record of a daemon that was started there counts. After starting
// a daemon call it again.
func (p Paths) FindSocket() (string, error) {
	if s := p.recorded(); s != "" {
		return s, nil
	}
	return p.Socket, checkSocket(p.Socket)
}

// MakeDirs creates the state directory and the spool, each with mode 0700, and
// refuses directories that belong to others or are open to them, and files as
// CheckFiles does. The daemon calls it before it listens.
func (p Paths) MakeDirs() error {
	if err := checkSocket(p.Socket); err != nil {
		return err
	}
	for _, dir := range []string{p.State, p.Spool} {
		err := makePrivate(dir)
		if err == nil && dir == p.State {
			err = p.CheckFiles()
		}
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
			return fmt.Errorf("%w; set XDG_STATE_HOME to a directory of yours", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Paths) resolveConfig() error {
	if s := os.Getenv("IRIS_CONFIG"); s != "" {
		if err := p.Choose(s); err != nil {
			return fmt.Errorf("IRIS_CONFIG=%s: %w", s, err)
		}
		return nil
	}
	dir := filepath.Join(xdgDir("XDG_CONFIG_HOME", xdg.ConfigHome, p.Home, ".config"), "iris")
	p.Config, p.Confd = filepath.Join(dir, "config.toml"), filepath.Join(dir, "conf.d")
	return nil
}

// Choose makes file the configuration, as a flag does. A file chosen by flag or
// IRIS_CONFIG must exist: Load and CheckChosen report an error if it does not.
func (p *Paths) Choose(file string) error {
	abs, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	p.Config, p.Confd, p.chosen = abs, filepath.Join(filepath.Dir(abs), "conf.d"), true
	return nil
}

// Chosen returns the configuration file if it was chosen, else nothing.
func (p Paths) Chosen() string {
	if p.chosen {
		return p.Config
	}
	return ""
}

// CheckChosen checks that a chosen file exists, for callers that do not load it; the
// error is of type Problems.
func (p Paths) CheckChosen() error {
	if !p.chosen {
		return nil
	}
	if _, err := os.Stat(p.Config); err != nil {
		return p.readProblem(err)
	}
	return nil
}

// readProblem turns the error of reading config.toml into problems: none if it is
// missing in its usual place.
func (p Paths) readProblem(err error) Problems {
	msg := sys.Cause(err).Error()
	if errors.Is(err, fs.ErrNotExist) {
		if !p.chosen {
			return nil
		}
		msg = "this configuration file does not exist"
	}
	return Problems{{File: p.Config, Msg: msg}}
}

func (p *Paths) resolveSocket(flag string) error {
	source := "--socket"
	if flag == "" {
		source, flag = "IRIS_SOCKET", os.Getenv("IRIS_SOCKET")
	}
	if flag == "" {
		p.Socket = p.Usual
		return nil
	}
	abs, err := filepath.Abs(flag)
	if err == nil {
		err = checkSocket(abs)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	p.Socket, p.fixed = abs, true
	return nil
}

// checkSocket checks that a socket can be bound at path.
func checkSocket(path string) error {
	if c := unprintable(path); c != "" {
		return fmt.Errorf("socket path %q holds %s; choose another with IRIS_SOCKET", path, c)
	}
	if len(path) > sys.MaxSocketPath {
		return fmt.Errorf("socket path %s has %d bytes and the system allows %d; set IRIS_SOCKET or XDG_RUNTIME_DIR to a shorter one",
			path, len(path), sys.MaxSocketPath)
	}
	return nil
}

// homeDir returns HOME or, if it is unset (as with env -i), the home directory in the
// password file.
func homeDir() (string, error) {
	if h := os.Getenv("HOME"); filepath.IsAbs(h) {
		return filepath.Clean(h), nil
	}
	uid := strconv.Itoa(os.Getuid())
	u, err := user.LookupId(uid)
	if err != nil || !filepath.IsAbs(u.HomeDir) {
		return "", fmt.Errorf("no home directory: HOME is not set and the password file has none for uid %s; set HOME", uid)
	}
	return filepath.Clean(u.HomeDir), nil
}

// xdgDir returns the directory that package xdg found for a variable. Without a
// usable HOME its defaults are below "/", and are replaced.
func xdgDir(name, dir, home, fallback string) string {
	if filepath.IsAbs(os.Getenv("HOME")) || filepath.IsAbs(os.Getenv(name)) {
		return dir
	}
	return filepath.Join(home, fallback)
}

// runtimeDir returns $XDG_RUNTIME_DIR, else /run/user/UID, which cron finds although
// it does not have the variable. The directory must be private; else the result is
// empty. The socket is in the directory iris there, or in a directory of the state.
func runtimeDir() string {
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), filepath.Join("/run/user", strconv.Itoa(os.Getuid()))} {
		if filepath.IsAbs(dir) && private(dir) {
			return filepath.Clean(dir)
		}
	}
	return ""
}

// private reports whether dir belongs to this user and nobody else can create or
// rename anything in it.
func private(dir string) bool {
	fi, err := os.Stat(dir)
	return err == nil && fi.IsDir() && sys.Owner(fi) == os.Geteuid() && !othersWrite(dir, fi)
}

// makePrivate makes dir a directory of this user that only the user may enter. A link
// to such a directory is fine if the link belongs to this user too.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create directory %s: %w", dir, sys.Cause(err))
	}
	for _, stat := range []func(string) (fs.FileInfo, error){os.Lstat, os.Stat} {
		fi, err := stat(dir)
		if err != nil {
			return fmt.Errorf("directory %s: %w", dir, sys.Cause(err))
		}
		if sys.Owner(fi) != os.Geteuid() {
			return fmt.Errorf("directory %s belongs to uid %d, not to you (uid %d)", dir, sys.Owner(fi), os.Geteuid())
		}
		if fi.IsDir() && fi.Mode().Perm()&0o077 != 0 {
			return fmt.Errorf("directory %s is open to others (mode %04o); run: chmod 700 %s", dir, fi.Mode().Perm(), ShellQuote(dir))
		}
	}
	return nil
}
