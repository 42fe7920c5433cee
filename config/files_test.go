package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"iris/config/sys/systest"
)

func TestDevNullIsNoConfiguration(t *testing.T) {
	newHome(t)
	t.Setenv("IRIS_CONFIG", "/dev/null")
	if _, err := Load(mustResolve(t, "")); err != nil {
		t.Error(err)
	}
}

func TestFilesThatOthersMayWriteAreRefused(t *testing.T) {
	p := newHome(t)
	drop := filepath.Join(p.Confd, "a b.toml")
	mustWrite(t, p.Config, "")
	mustWrite(t, drop, "")
	for _, tt := range []struct {
		path string
		mode os.FileMode
		want string
	}{
		{p.Config, 0o660, `~/.config/iris/config.toml: others may write to it (mode 0660); run: chmod go-w ~/.config/iris/config.toml`},
		{p.Config, 0o602, `~/.config/iris/config.toml: others may write to it (mode 0602); run: chmod go-w ~/.config/iris/config.toml`},
		{drop, 0o620, `~/.config/iris/conf.d/a b.toml: others may write to it (mode 0620); run: chmod go-w '~/.config/iris/conf.d/a b.toml'`},
		{p.Confd, 0o770, `~/.config/iris/conf.d: others may write to it (mode 0770); run: chmod go-w ~/.config/iris/conf.d`},
		{filepath.Dir(p.Config), 0o777, `~/.config/iris: others may write to it (mode 0777); run: chmod go-w ~/.config/iris`},
		{filepath.Dir(p.Config), 0o777 | os.ModeSticky, "<nil>"},
		{p.Config, 0o644, "<nil>"},
	} {
		fi, err := os.Stat(tt.path)
		mustDo(t, err)
		mustDo(t, os.Chmod(tt.path, tt.mode))
		_, err = Load(p)
		wantErr(t, p.Home, err, tt.want)
		mustDo(t, os.Chmod(tt.path, fi.Mode()))
	}
}

func TestFilesOfOtherUsersAreRefused(t *testing.T) {
	systest.NeedsRoot(t)
	p := newHome(t)
	mustWrite(t, p.Config, "")
	mustDo(t, os.Chown(p.Config, 65534, 65534))
	_, err := Load(p)
	wantErr(t, p.Home, err, `~/.config/iris/config.toml: belongs to uid 65534, not to you (uid 0); iris reads only what you or root own`)
}

// Opening a pipe waits for somebody who writes.
func TestAPipeIsRefusedAtOnce(t *testing.T) {
	p := newHome(t)
	mustMkdir(t, p.Confd)
	mustDo(t, unix.Mkfifo(p.Confd+"/a.toml", 0o600))
	_, err := Load(p)
	wantErr(t, p.Home, err, "~/.config/iris/conf.d/a.toml: not a regular file")
}

func TestAHugeFileIsRefused(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Config, strings.Repeat("#\n", maxFile/2+1))
	_, err := Load(p)
	wantErr(t, p.Home, err, `~/.config/iris/config.toml: larger than 1048576 bytes`)
}
