package config

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"iris/config/sys/systest"
)

func TestOnlyFilesOfTheUserStandForThoseOfTheState(t *testing.T) {
	p := newHome(t)
	mustDo(t, p.MakeDirs())
	state := "~/.local/state/iris/"
	for _, c := range []struct {
		name, want string
		make       func(path string) error
	}{
		{"iris.log", "is a symbolic link, where iris keeps a file; run: rm PATH", func(path string) error { return os.Symlink("/dev/null", path) }},
		{"journal", "is a symbolic link; put the file that it leads to in its place, or make ~/.local/state/iris a link to another directory", func(path string) error { return os.Symlink("elsewhere", path) }},
		{"iris.log", "is not a regular file, where iris keeps one; run: mv PATH PATH.old", func(path string) error { return syscall.Mkfifo(path, 0o600) }},
		{"daemon.lock", "is not a regular file, where iris keeps one; run: mv PATH PATH.old", func(path string) error { return syscall.Mkfifo(path, 0o600) }},
		{"start.lock", "is a directory, where iris keeps a file; run: mv PATH PATH.old", func(path string) error { return os.Mkdir(path, 0o700) }},
		{"iris.log", "cannot be read and written by you (mode 0400); run: chmod 600 PATH", func(path string) error { return os.WriteFile(path, nil, 0o400) }},
		{"bodies", "is not a directory; run: mv PATH PATH.old", func(path string) error { return os.WriteFile(path, nil, 0o600) }},
		{"spool", "is not a directory; run: mv PATH PATH.old", func(path string) error { return os.Symlink("/nowhere", path) }},
	} {
		path := filepath.Join(p.State, c.name)
		mustDo(t, os.RemoveAll(path))
		mustDo(t, c.make(path))
		want := state + c.name + " " + strings.ReplaceAll(c.want, "PATH", state+c.name)
		wantErr(t, p.Home, p.CheckFiles(), want)
		wantErr(t, p.Home, p.MakeDirs(), want)
		mustDo(t, os.RemoveAll(path))
	}
	mustDo(t, os.WriteFile(p.Log, nil, 0o600))
	mustDo(t, p.CheckFiles())
	t.Run("another's", func(t *testing.T) {
		systest.NeedsRoot(t)
		mustDo(t, os.Chown(p.Log, 65534, 65534))
		wantErr(t, p.Home, p.CheckFiles(), state+"iris.log belongs to uid 65534, not to you (uid 0); run: mv "+state+"iris.log "+state+"iris.log.old")
	})
}
