package config

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"iris/config/sys/systest"
)

func TestResolveFollowsTheEnvironment(t *testing.T) {
	p := newHome(t)
	want := Paths{Home: p.Home, Config: p.Home + "/.config/iris/config.toml", Confd: p.Home + "/.config/iris/conf.d",
		State: p.Home + "/.local/state/iris", Lock: p.Home + "/.local/state/iris/daemon.lock", Spool: p.Home + "/.local/state/iris/spool",
		Journal: p.Home + "/.local/state/iris/journal", Log: p.Home + "/.local/state/iris/iris.log", Socket: p.Home + "/run/iris/iris.sock",
		Start: p.Home + "/.local/state/iris/start.lock", Refuge: p.Home + "/.local/state/iris/run/iris.sock",
		Usual: p.Home + "/run/iris/iris.sock", Runtime: p.Home + "/run", Units: p.Home + "/.config/systemd/user"}
	if p != want {
		t.Errorf("defaults\n got %+v\nwant %+v", p, want)
	}
	t.Setenv("XDG_CONFIG_HOME", "/c")
	t.Setenv("XDG_STATE_HOME", "/s")
	if p = mustResolve(t, ""); p.Config != "/c/iris/config.toml" || p.Confd != "/c/iris/conf.d" || p.State != "/s/iris" || p.Spool != "/s/iris/spool" || p.Units != "/c/systemd/user" {
		t.Errorf("XDG directories: got %+v", p)
	}
	t.Setenv("XDG_CONFIG_HOME", "c")
	t.Setenv("XDG_STATE_HOME", "./s")
	if p = mustResolve(t, ""); p.Config != want.Config || p.State != want.State {
		t.Errorf("relative XDG directories count: got %+v", p)
	}
	t.Setenv("IRIS_CONFIG", "/x/y.toml")
	if p = mustResolve(t, ""); p.Config != "/x/y.toml" || p.Confd != "/x/conf.d" || p.State != want.State || p.Units != want.Units {
		t.Errorf("IRIS_CONFIG: got %+v", p)
	}
	t.Setenv("IRIS_CONFIG", "y.toml")
	wd, err := os.Getwd()
	mustDo(t, err)
	if p = mustResolve(t, ""); p.Config != wd+"/y.toml" {
		t.Errorf("relative IRIS_CONFIG: got %s, want it in %s", p.Config, wd)
	}
}

func TestWithoutHomeThePasswordFileSays(t *testing.T) {
	newHome(t)
	for _, home := range []string{"", "relative"} {
		t.Setenv("HOME", home)
		t.Setenv("XDG_STATE_HOME", "")
		p, err := Resolve("")
		if err != nil {
			t.Skip(err)
		}
		if !filepath.IsAbs(p.Home) || p.Config != p.Home+"/.config/iris/config.toml" || p.State != p.Home+"/.local/state/iris" {
			t.Errorf("HOME=%s: got %+v, want everything below the home directory", home, p)
		}
		t.Setenv("XDG_STATE_HOME", "/s")
		if p = mustResolve(t, ""); p.State != "/s/iris" {
			t.Errorf("HOME=%s: got state %s, want /s/iris", home, p.State)
		}
	}
}

func TestTheSocketGoesWhereNobodyElseCanWrite(t *testing.T) {
	p := newHome(t)
	fallback := filepath.Join(p.State, "run/iris.sock")
	if user := filepath.Join("/run/user", strconv.Itoa(os.Getuid())); private(user) {
		fallback = filepath.Join(user, "iris/iris.sock")
	}
	run := os.Getenv("XDG_RUNTIME_DIR")
	file := filepath.Join(p.Home, "file")
	mustWrite(t, file, "")
	for _, tt := range []struct {
		name, dir string
		mode      os.FileMode
		want      string
	}{
		{"ours", run, 0o700, run + "/iris/iris.sock"},
		{"readable", run, 0o755, run + "/iris/iris.sock"},
		{"group writes", run, 0o770, fallback},
		{"all write", run, 0o777 | os.ModeSticky, fallback},
		{"unset", "", 0, fallback},
		{"relative", "run", 0, fallback},
		{"missing", run + "/none", 0, fallback},
		{"a file", file, 0o600, fallback},
		{"the temporary directory", "/tmp", 0, fallback},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.mode != 0 {
				mustDo(t, os.Chmod(tt.dir, tt.mode))
			}
			t.Setenv("XDG_RUNTIME_DIR", tt.dir)
			if got := mustResolve(t, "").Socket; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("another's", func(t *testing.T) {
		systest.NeedsRoot(t)
		mustDo(t, os.Chmod(run, 0o700))
		mustDo(t, os.Chown(run, 65534, 65534))
		if got := mustResolve(t, "").Socket; got != fallback {
			t.Errorf("got %s, want %s", got, fallback)
		}
	})
}

func TestASocketThatIsNamedStandsOverTheRecordedOne(t *testing.T) {
	p := newHome(t)
	record(t, p, listen(t, filepath.Join(p.Home, "recorded")))
	t.Setenv("IRIS_SOCKET", "/by/env")
	if got := mustFind(t, mustResolve(t, "")); got != "/by/env" {
		t.Errorf("IRIS_SOCKET: got %s", got)
	}
	if got := mustFind(t, mustResolve(t, "/by/flag/../flag")); got != "/by/flag" {
		t.Errorf("flag: got %s", got)
	}
}

func TestAClientFindsTheDaemonOfAnotherEnvironment(t *testing.T) {
	p := newHome(t)
	sock := listen(t, filepath.Join(p.Home, "elsewhere"))
	record(t, p, sock)
	t.Setenv("XDG_RUNTIME_DIR", "")
	if got := mustFind(t, mustResolve(t, "")); got != sock {
		t.Errorf("got %s, want the recorded %s", got, sock)
	}
}

func TestADoubtfulRecordIsNoRecord(t *testing.T) {
	p := newHome(t)
	sock := listen(t, filepath.Join(p.Home, "s"))
	mustWrite(t, p.Home+"/plain", "")
	mustDo(t, os.Symlink(sock, p.Home+"/link"))
	for _, tt := range []struct{ name, text string }{
		{"empty", ""}, {"no socket there", p.Home + "/gone\n"}, {"a plain file", p.Home + "/plain\n"}, {"a link", p.Home + "/link\n"},
		{"relative", "s\n"}, {"control character", sock + "\x1b\n"}, {"too long", "/" + strings.Repeat("x", 200) + "\n"}, {"huge", sock + "\n" + strings.Repeat("x", 5000)},
	} {
		mustWrite(t, p.Lock, tt.text)
		if got := mustFind(t, p); got != p.Socket {
			t.Errorf("%s: got %s, want the computed one", tt.name, got)
		}
	}
	record(t, p, sock)
	mustDo(t, os.Chmod(p.Lock, 0o620))
	if got := mustFind(t, p); got != p.Socket {
		t.Errorf("lock file that others may write: got %s", got)
	}
	mustDo(t, os.Rename(p.Lock, p.Lock+".real"))
	mustDo(t, os.Chmod(p.Lock+".real", 0o600))
	mustDo(t, os.Symlink(p.Lock+".real", p.Lock))
	if got := mustFind(t, p); got != p.Socket {
		t.Errorf("lock file that is a link: got %s", got)
	}
	t.Run("another's socket", func(t *testing.T) {
		systest.NeedsRoot(t)
		mustDo(t, os.Remove(p.Lock))
		record(t, p, sock)
		mustDo(t, os.Lchown(sock, 65534, 65534))
		if got := mustFind(t, p); got != p.Socket {
			t.Errorf("got %s", got)
		}
	})
}

func TestALongSocketPathIsNamedWithTheRemedy(t *testing.T) {
	p := newHome(t)
	long := "/" + strings.Repeat("x", 106)
	if _, err := Resolve(long); err != nil {
		t.Errorf("107 bytes: %v", err)
	}
	_, err := Resolve(long + "y")
	wantErr(t, "", err, "--socket: socket path "+long+"y has 108 bytes and the system allows 107; set IRIS_SOCKET or XDG_RUNTIME_DIR to a shorter one")
	t.Setenv("IRIS_SOCKET", "/a\nb")
	_, err = Resolve("")
	wantErr(t, "", err, `IRIS_SOCKET: socket path "/a\nb" holds "\n"; choose another with IRIS_SOCKET`)
	t.Setenv("IRIS_SOCKET", "")
	t.Setenv("XDG_RUNTIME_DIR", "")
	deep := filepath.Join(p.Home, strings.Repeat("d", 100))
	t.Setenv("XDG_STATE_HOME", deep)
	p = mustResolve(t, "")
	if private("/run/user/" + strconv.Itoa(os.Getuid())) {
		t.Skip("this user has a runtime directory")
	}
	_, err = p.FindSocket()
	want := "socket path " + deep + "/iris/run/iris.sock has " + strconv.Itoa(len(deep)+19) + " bytes and the system allows 107; set IRIS_SOCKET or XDG_RUNTIME_DIR to a shorter one"
	wantErr(t, "", err, want)
	wantErr(t, "", p.MakeDirs(), want)
	sock := listen(t, filepath.Join(p.Home, "s"))
	record(t, p, sock)
	if got := mustFind(t, p); got != sock {
		t.Errorf("got %s, want the recorded %s", got, sock)
	}
}

func TestMakeDirsMakesThemPrivateAndRefusesOthers(t *testing.T) {
	p := newHome(t)
	mustDo(t, p.MakeDirs())
	for _, d := range []string{p.State, p.Spool} {
		fi, err := os.Lstat(d)
		if err != nil || fi.Mode() != os.ModeDir|0o700 {
			t.Errorf("%s: got %v, %v; want a directory of mode 0700", d, fi.Mode(), err)
		}
	}
	mustDo(t, p.MakeDirs())
	mustDo(t, os.Chmod(p.State, 0o750))
	wantErr(t, p.Home, p.MakeDirs(), "directory ~/.local/state/iris is open to others (mode 0750); run: chmod 700 ~/.local/state/iris")
	mustDo(t, os.Rename(p.State, p.State+".far"))
	mustDo(t, os.Chmod(p.State+".far", 0o700))
	mustDo(t, os.Symlink(p.State+".far", p.State))
	wantErr(t, p.Home, p.MakeDirs(), "<nil>")
	mustDo(t, os.Remove(p.State))
	mustWrite(t, p.State, "")
	wantErr(t, p.Home, p.MakeDirs(), "create directory ~/.local/state/iris: not a directory")
	mustDo(t, os.Remove(p.State))
	t.Run("where we may not write", func(t *testing.T) {
		systest.NeedsUser(t)
		mustDo(t, os.Chmod(filepath.Dir(p.State), 0o500))
		wantErr(t, p.Home, p.MakeDirs(), "create directory ~/.local/state/iris: permission denied; set XDG_STATE_HOME to a directory of yours")
		mustDo(t, os.Chmod(filepath.Dir(p.State), 0o700))
	})
	t.Run("another's", func(t *testing.T) {
		systest.NeedsRoot(t)
		mustMkdir(t, p.State)
		mustDo(t, os.Chown(p.State, 65534, 65534))
		wantErr(t, p.Home, p.MakeDirs(), "directory ~/.local/state/iris belongs to uid 65534, not to you (uid 0)")
		mustDo(t, os.Remove(p.State))
		mustDo(t, os.Symlink(p.State+".far", p.State))
		mustDo(t, os.Lchown(p.State, 65534, 65534))
		wantErr(t, p.Home, p.MakeDirs(), "directory ~/.local/state/iris belongs to uid 65534, not to you (uid 0)")
	})
}

func mustFind(t *testing.T, p Paths) string {
	t.Helper()
	s, err := p.FindSocket()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// record writes a lock file as the daemon does.
func record(t *testing.T, p Paths, sock string) {
	t.Helper()
	mustWrite(t, p.Lock, sock+"\n")
	mustDo(t, os.Chmod(p.Lock, 0o600))
}

// listen makes a socket at path.
func listen(t *testing.T, path string) string {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return path
}

func BenchmarkResolve(b *testing.B) {
	p := newHome(b)
	mustWrite(b, p.Lock, "/run/user/0/iris/iris.sock\n")
	b.ReportAllocs()
	for b.Loop() {
		p, err := Resolve("")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.FindSocket(); err != nil {
			b.Fatal(err)
		}
	}
}

// The configuration in its usual place may be missing; if a chosen one is missing,
// that is a mistake.
func TestAChosenConfigurationMustExist(t *testing.T) {
	p := newHome(t)
	if p.Chosen() != "" || p.CheckChosen() != nil {
		t.Errorf("nobody chose one: got %q, %v", p.Chosen(), p.CheckChosen())
	}
	_, err := Load(p)
	mustDo(t, err)
	file := filepath.Join(p.Home, "own.toml")
	t.Setenv("IRIS_CONFIG", file)
	byEnv := mustResolve(t, "")
	mustDo(t, p.Choose(file))
	for _, p := range []Paths{p, byEnv} {
		_, err := Load(p)
		for _, err := range []error{err, p.CheckChosen()} {
			wantErr(t, p.Home, err, "~/own.toml: this configuration file does not exist")
			if problems, ok := errors.AsType[Problems](err); !ok || len(problems) != 1 {
				t.Errorf("got a %T, want Problems", err)
			}
		}
	}
	mustWrite(t, file, "max_processes = 3\n")
	mustDo(t, p.CheckChosen())
	cfg, err := Load(p)
	mustDo(t, err)
	if cfg.MaxProcesses != 3 || p.Chosen() != file {
		t.Errorf("got max_processes %d from %q", cfg.MaxProcesses, p.Chosen())
	}
}
