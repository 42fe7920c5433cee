package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"iris/config"
	"iris/ipc"
)

// enoughFree is how much should be free on the disk of the state directory.
const enoughFree = 512 << 20

// configuration checks the configuration, and reports whether it is valid.
func (d *doctor) configuration(p config.Paths) bool {
	cfg, err := config.Load(p)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		for _, problem := range problems {
			d.fail(ipc.CodeUsage, "configuration", editing(problem), "%s", problem)
		}
	case err != nil:
		d.fail(ipc.CodeUsage, "configuration", "", "%s", err)
	case len(cfg.Files) == 0:
		d.ok("configuration", "no file at %s: the defaults apply", p.Config)
	default:
		d.ok("configuration", "%s, %s", filesText(cfg.Files), plural(len(cfg.Teams), "team"))
		for _, n := range cfg.Notes() {
			d.warn("configuration", editing(n), "%s", n)
		}
	}
	if err == nil {
		d.mcp(cfg)
	}
	return err == nil
}

// mcp checks that agents which are to have the MCP server of iris find its program.
func (d *doctor) mcp(cfg *config.Config) {
	for _, name := range cfg.TeamNames() {
		if cfg.Teams[name].MCP && findExternal("mcp") == "" {
			d.warn("mcp", "go install ./cmd/...", "team %s has mcp = true, and the program iris-mcp is neither beside iris nor in PATH", name)
			return
		}
	}
}

// editing is the command that shows the mistake in an editor.
func editing(p config.Problem) string {
	if p.File == "" {
		return ""
	}
	return fmt.Sprintf("${EDITOR:-vi} +%d %s", max(1, p.Line), config.ShellQuote(p.File))
}

// filesText names the first file, and the number of the others.
func filesText(files []string) string {
	if len(files) == 1 {
		return files[0]
	}
	return fmt.Sprintf("%s and %d more", files[0], len(files)-1)
}

// directories checks the daemon's directories. The daemon makes missing ones.
func (d *doctor) directories(p config.Paths) {
	if d.private("state", p.State) {
		d.disk(p.State)
		if err := p.CheckFiles(); err != nil {
			d.fail(ipc.CodeDaemon, "state", "", "%s", err)
		}
	}
	socket, err := p.FindSocket()
	if err != nil {
		d.fail(ipc.CodeDaemon, "socket", "", "%s", err)
		return
	}
	if dir := filepath.Dir(socket); dir == p.State || d.private("socket", dir) {
		d.socket(socket)
	}
}

// socket reports what is in the socket's place and is no socket. The daemon removes a
// socket of an earlier daemon, and nothing else.
func (d *doctor) socket(path string) {
	info, err := os.Lstat(path)
	switch {
	case err != nil || info.Mode().Type() == fs.ModeSocket:
	case info.Mode()&fs.ModeSymlink != 0:
		d.fail(ipc.CodeDaemon, "socket", "rm "+config.ShellQuote(path), "%s is a symbolic link, in the place of the socket", path)
	default:
		d.fail(ipc.CodeDaemon, "socket", config.MoveAway(path), "%s is not a socket, but in the place of one", path)
	}
}

// private checks a directory that only its owner may enter, and reports whether it
// exists without problems.
func (d *doctor) private(check, dir string) bool {
	info, err := os.Stat(dir)
	link, _ := os.Lstat(dir)
	switch {
	case check == "socket" && link != nil && link.Mode()&fs.ModeSymlink != 0: // unlike the state, it must be a directory itself
		d.fail(ipc.CodeDaemon, check, "rm "+config.ShellQuote(dir), "%s is a symbolic link, in the place of the socket's directory", dir)
		return false
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		d.missing(check, dir)
		return false
	case err != nil:
		d.fail(ipc.CodeDaemon, check, "", "%s", err)
		return false
	case !info.IsDir():
		d.fail(ipc.CodeDaemon, check, "mv "+config.ShellQuote(dir)+" "+config.ShellQuote(dir+".old"), "%s is a file", dir)
		return false
	}
	uid := info.Sys().(*syscall.Stat_t).Uid
	switch mode := info.Mode().Perm(); {
	case int(uid) != os.Geteuid():
		d.fail(ipc.CodeDaemon, check, fmt.Sprintf("sudo chown -R %d %s", os.Geteuid(), config.ShellQuote(dir)), "%s belongs to uid %d, not to you", dir, uid)
	case mode&0o077 != 0:
		d.fail(ipc.CodeDaemon, check, "chmod 700 "+config.ShellQuote(dir), "%s is open to others (mode %04o)", dir, mode)
	case unix.Access(dir, unix.W_OK|unix.X_OK) != nil:
		d.fail(ipc.CodeDaemon, check, "chmod 700 "+config.ShellQuote(dir), "%s cannot be written (mode %04o)", dir, mode)
	default:
		d.ok(check, "%s, yours alone", dir)
		return true
	}
	return false
}

// missing is about a missing directory: the first command makes it, if it can.
func (d *doctor) missing(check, dir string) {
	above := filepath.Dir(dir)
	info, err := os.Stat(above)
	for err != nil && above != "/" {
		above = filepath.Dir(above)
		info, err = os.Stat(above)
	}
	const elsewhere = "set XDG_STATE_HOME to a directory of yours"
	switch {
	case err == nil && !info.IsDir():
		d.fail(ipc.CodeDaemon, check, elsewhere, "%s cannot be made: %s is a file", dir, above)
	case unix.Access(above, unix.W_OK|unix.X_OK) != nil:
		d.fail(ipc.CodeDaemon, check, elsewhere, "%s cannot be made: you may not write in %s", dir, above)
	default:
		d.ok(check, "%s is not there yet; the first command makes it", dir)
	}
}

// disk checks the file system of the state directory.
func (d *doctor) disk(dir string) {
	free, kind, remote, err := fileSystem(dir)
	d.diskIs(dir, free, kind, remote, err)
}

func (d *doctor) diskIs(dir string, free int64, kind string, remote bool, err error) {
	room := cmp.Or(size(free), "0 B") + " free"
	if kind != "" {
		room += " on " + kind
	}
	const elsewhere = "set XDG_STATE_HOME to a directory on a local disk"
	disk := "df -h " + config.ShellQuote(dir) // which disk that is, and how full
	switch {
	case err != nil:
		d.fail(ipc.CodeDaemon, "disk", "", "%s: %s", dir, err)
	case remote:
		d.fail(ipc.CodeDaemon, "disk", elsewhere, "%s is on a network file system (%s), where locks and syncs are not reliable", dir, kind)
	case free < config.LeastFree:
		d.fail(ipc.CodeFull, "disk", disk, "%s: no message is accepted, a turn needs %s; make room", room, size(config.LeastFree))
	case kind == "fuse":
		d.warn("disk", elsewhere, "%s is on FUSE, where locks and syncs may not be reliable", dir)
	case kind == "tmpfs":
		d.warn("disk", elsewhere, "%s is in memory: waiting messages are lost when the machine loses power", dir)
	case free < enoughFree:
		d.warn("disk", disk, "%s: that is little; make room", room)
	default:
		d.ok("disk", "%s", room)
	}
}
