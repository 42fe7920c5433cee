package systemd

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"iris/config"
	"iris/config/sys"
)

// The user units.
const (
	Service = "iris.service"
	Socket  = "iris.socket"
)

// wants is the directory where systemd links an enabled unit.
var wants = map[string]string{
	Service: "default.target.wants",
	Socket:  "sockets.target.wants",
}

// serviceText is iris.service without its head; the verbs stand for lines of
// [Unit], the program, its arguments and lines of the environment.
//
//   - systemd before 253 does not know Type=notify-reload.
//   - systemd may kill only the daemon's process: a daemon that is killed leaves its
//     turns to the agents, and a daemon that is stopped has ended them itself.
//   - The daemon asks systemd for the time of drain_timeout, "daemon settle" for that
//     of orphan_timeout.
//   - These settings are left out, since they break agents or separate them from
//     their user: MemoryDenyWriteExecute (node dies), ProtectHome, ProtectSystem,
//     PrivateTmp, PrivateUsers, RestrictNamespaces, SystemCallFilter, UMask, LimitAS,
//     LimitNPROC.
const serviceText = `
[Unit]
Description=iris, a pool of warm agents
StartLimitIntervalSec=60
StartLimitBurst=5
%[1]s
[Service]
Type=notify
NotifyAccess=exec
ExecStart=:%[2]s daemon%[3]s
ExecReload=:%[2]s daemon reload%[3]s
ExecStopPost=-:%[2]s daemon settle%[3]s
%[4]sRestart=on-failure
RestartSec=1
WatchdogSec=30
TimeoutStopSec=90
KillMode=process
OOMPolicy=continue

# With this sudo and su do not work for agents. A drop-in can set it to no.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=default.target
`

const socketText = `
[Unit]
Description=Socket of iris

[Socket]
ListenStream=%s
SocketMode=0600
DirectoryMode=0700
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`

// unitHead begins a unit written by iris. The sum is that of all lines below it, and
// shows whether they were changed.
const unitHead = `# Written by "iris daemon install". Changes belong into a drop-in:
#   systemctl --user edit %s
# sum %08x
`

// A Unit is one file for systemd.
type Unit struct {
	Path string
	Text string
}

// Units returns iris.service and, with socket, iris.socket, for this program and the
// daemon that a command with these paths would start.
func Units(p config.Paths, self string, socket bool) ([]Unit, error) {
	for _, text := range append(unitEnv(p), self, p.Socket, p.Config) {
		if i := strings.IndexFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }); i >= 0 {
			return nil, fmt.Errorf("path %q holds a control character, which no unit can name", text)
		}
	}
	if strings.ContainsAny(self, "\"'\\") {
		return nil, fmt.Errorf("program %q: systemd runs none with a quote or a backslash in its path", self)
	}
	if socket && (strings.HasSuffix(p.Socket, `\`) || strings.TrimSpace(p.Socket) != p.Socket) {
		return nil, fmt.Errorf("socket %q: systemd takes none with a backslash or a space at its end", p.Socket)
	}
	needs := ""
	if socket {
		needs = "Requires=" + Socket + "\nAfter=" + Socket + "\n"
	}
	var environ strings.Builder
	for _, line := range unitEnv(p) {
		environ.WriteString(line + "\n")
	}
	service := fmt.Sprintf(serviceText, needs, unitQuote(self), strings.Join(unitArgs(p), ""), environ.String())
	all := []Unit{headed(p, Service, service)}
	if socket {
		at := `%t/iris/` + filepath.Base(p.Usual)
		if p.Socket != p.Usual {
			at = unitEscape(p.Socket)
		}
		all = append(all, headed(p, Socket, fmt.Sprintf(socketText, at)))
	}
	return all, nil
}

func headed(p config.Paths, name, text string) Unit {
	return Unit{filepath.Join(p.Units, name), fmt.Sprintf(unitHead, name, crc32.ChecksumIEEE([]byte(text))) + text}
}

// unitArgs are the arguments that give the daemon the caller's paths.
func unitArgs(p config.Paths) (args []string) {
	if p.Chosen() != "" {
		args = append(args, " --config "+unitQuote(p.Chosen()))
	}
	if p.Socket != p.Usual {
		args = append(args, " --socket "+unitQuote(p.Socket))
	}
	return args
}

// unitEnv are the lines that give the daemon directories outside their usual places.
func unitEnv(p config.Paths) (lines []string) {
	for _, v := range [][2]string{{"XDG_CONFIG_HOME", ".config"}, {"XDG_STATE_HOME", ".local/state"}} {
		dir := os.Getenv(v[0])
		if filepath.IsAbs(dir) && filepath.Clean(dir) != filepath.Join(p.Home, v[1]) {
			lines = append(lines, "Environment="+unitQuote(v[0]+"="+dir))
		}
	}
	return lines
}

// unitEscape escapes percent signs, which are special to systemd.
func unitEscape(s string) string { return strings.ReplaceAll(s, "%", "%%") }

func unitQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(unitEscape(s)) + `"`
}

// untouched reports whether a unit is unchanged since this or another version of iris
// wrote it.
func untouched(text string) bool {
	head, body, ok := strings.Cut(text, "\n\n")
	body = "\n" + body
	_, sum, marked := strings.Cut(head, "\n# sum ")
	return ok && marked && sum == fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body)))
}

// Ours reports whether the file is there, and whether iris may replace or remove it.
func (u Unit) Ours() (there, ours bool, err error) {
	fi, err := os.Lstat(u.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	if err != nil || !fi.Mode().IsRegular() {
		return true, false, err
	}
	text, err := os.ReadFile(u.Path)
	return true, untouched(string(text)), err
}

// Files are the paths of a unit and, first, of the link that enables it.
func Files(p config.Paths, name string) []string {
	return []string{filepath.Join(p.Units, wants[name], name), filepath.Join(p.Units, name)}
}

// Enabled reports whether the user has systemd run the daemon that a command with
// these paths would start: a target wants iris.service, or the socket that starts it,
// and the user has a manager.
func Enabled(p config.Paths, names ...string) bool {
	if p.Runtime == "" || !slices.ContainsFunc(names, func(name string) bool {
		_, err := os.Lstat(Files(p, name)[0])
		return err == nil
	}) {
		return false
	}
	if _, err := os.Stat(filepath.Join(p.Runtime, "systemd")); err != nil {
		return false
	}
	text, err := os.ReadFile(filepath.Join(p.Units, Service))
	if err != nil { // it may be in a system directory
		text, err = os.ReadFile(filepath.Join(p.Units, wants[Service], Service))
	}
	return err == nil && fits(string(text), p)
}

// fits reports whether the daemon of a unit, which may have been changed, has these
// paths.
func fits(text string, p config.Paths) bool {
	start, environ := "", []string(nil)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "ExecStart="):
			start = line
		case strings.HasPrefix(line, `Environment="XDG_`):
			environ = append(environ, line)
		}
	}
	args := unitArgs(p)
	for _, arg := range args {
		if !strings.Contains(start, arg) {
			return false
		}
	}
	chosen := strings.Count(start, " --config ") + strings.Count(start, " --socket ")
	return chosen == len(args) && slices.Equal(environ, unitEnv(p))
}

// Write writes the file completely or not at all.
func (u Unit) Write() error {
	if err := os.MkdirAll(filepath.Dir(u.Path), 0o755); err != nil {
		return err
	}
	return sys.WriteFile(u.Path, []byte(u.Text), 0o644, true)
}
