package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"iris/config/sys/systest"
)

func TestLookup(t *testing.T) {
	cfg := mustLoad(t, "[teams.api]\ndir='/a'\n[teams.web]\ndir='/w'\n")
	if api, err := cfg.Lookup("api"); err != nil || api != cfg.Teams["api"] {
		t.Errorf("api: got %v, %v", api, err)
	}
	_, err := cfg.Lookup("apo")
	wantErr(t, "", err, `no team "apo"`)
	unknown, ok := errors.AsType[*UnknownTeamError](err)
	if want := (UnknownTeamError{"apo", "api"}); !ok || *unknown != want {
		t.Errorf("got %+v, want %+v", unknown, want)
	} else if got, want := unknown.Hint(), `did you mean "api"? "iris team ls" lists the teams`; got != want {
		t.Errorf("the hint is %q, want %q", got, want)
	}
	_, err = cfg.Lookup("\x1bz")
	wantErr(t, "", err, `no team "\x1bz"`)
	_, err = cfg.Lookup("")
	wantErr(t, "", err, `no team ""`)
	if w, err := cfg.Lookup("/w/."); err != nil || w.Name != "web" {
		t.Errorf("by directory: got %v, %v", w, err)
	}
}

func TestForDir(t *testing.T) {
	p := newHome(t)
	at := func(name string) string { return filepath.Join(p.Home, name) }
	for _, d := range []string{"real/sub", "two", "other dir"} {
		mustMkdir(t, at(d))
	}
	mustDo(t, os.Symlink("real", at("link")))
	mustDo(t, os.Symlink("other dir", at("olink")))
	mustWrite(t, p.Config, "max_turns = 7\n[teams.a]\ndir='~/link'\n[teams.b]\ndir='~/two'\n[teams.c]\ndir='~/two/'\n[teams.gone]\ndir='~/gone'\n")
	cfg, err := Load(p)
	mustDo(t, err)
	for dir, want := range map[string]string{
		"real": "a", "link": "a", "real/sub/..": "a", "gone": "gone", "gone/": "gone",
		"other dir": at("other dir"), "olink": at("other dir"), "real/sub": at("real/sub"), "link/sub": at("real/sub"), "nowhere": at("nowhere"),
	} {
		team, err := cfg.ForDir(p.Home + "/" + dir)
		if err != nil || team.Name != want {
			t.Errorf("%s: got %+v, %v; want team %s", dir, team, err, want)
		}
	}
	home, err := cfg.ForDir(p.Home)
	if want := (&Team{Name: p.Home, Dir: p.Home, Agent: "claude", Settings: cfg.Settings}); err != nil || !reflect.DeepEqual(home, want) {
		t.Errorf("home: got %+v, %v; want %+v (not the built-in team)", home, err, want)
	}
	_, err = cfg.ForDir(at("two"))
	wantErr(t, p.Home, err, `directory ~/two belongs to the teams "b" and "c"; give the name of one`)
	_, err = cfg.ForDir("two")
	wantErr(t, p.Home, err, `directory "two" is relative; give an absolute one`)
	_, err = cfg.ForDir("/a\x1b]0;b")
	wantErr(t, p.Home, err, `directory "/a\x1b]0;b" holds "\x1b", which iris does not accept in names`)
	_, err = cfg.ForDir("/a\xff")
	wantErr(t, p.Home, err, `directory "/a\xff" holds "\xff", which iris does not accept in names`)
}

func TestCheckDir(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Home+"/file", "")
	mustMkdir(t, p.Home+"/ok é")
	mustDo(t, os.Symlink(p.Home+"/gone", p.Home+"/link"))
	for _, tt := range []struct{ dir, want string }{
		{"ok é", "<nil>"},
		{"none", `directory ~/none does not exist`},
		{"link/x", `directory ~/link/x does not exist: ~/link is a link to ~/gone, which is gone`},
		{"file", `directory ~/file is a file`},
		{"file/x", `directory ~/file/x cannot be read: not a directory`},
	} {
		wantErr(t, p.Home, (&Team{Name: "a", Dir: p.Home + "/" + tt.dir}).CheckDir(), tt.want)
	}
	err := (&Team{Name: p.Home + "/none", Dir: p.Home + "/none"}).CheckDir()
	wantErr(t, p.Home, err, `directory ~/none does not exist`)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the error does not wrap fs.ErrNotExist")
	}
	t.Run("closed to us", func(t *testing.T) {
		systest.NeedsUser(t)
		mustDo(t, os.Chmod(p.Home+"/ok é", 0o200))
		err := (&Team{Name: "a", Dir: p.Home + "/ok é"}).CheckDir()
		wantErr(t, p.Home, err, `directory ~/ok é cannot be read: permission denied`)
	})
}

func TestStampChangesWithWhatTheAgentIsStartedWith(t *testing.T) {
	base := func() *Team {
		return &Team{Name: "a", Dir: "/a", Agent: "claude", Settings: Settings{Command: []string{"c"}, Args: []string{"x", "y"},
			Env: map[string]string{"A": "1", "B": "2"}, PassEnv: []string{"P"}, EnvFile: "/e", MaxTurns: 1}}
	}
	seen := map[string]string{base().Stamp(): "base"}
	for name, change := range map[string]func(*Team){
		"dir": func(t *Team) { t.Dir = "/b" }, "agent": func(t *Team) { t.Agent = "echo" }, "command": func(t *Team) { t.Command = []string{"d"} },
		"joined args": func(t *Team) { t.Args = []string{"xy"} }, "order": func(t *Team) { t.Args = []string{"y", "x"} },
		"arg to pass_env": func(t *Team) { t.Args, t.PassEnv = []string{"x"}, []string{"y", "P"} },
		"env value":       func(t *Team) { t.Env["A"] = "2" }, "env name": func(t *Team) { delete(t.Env, "A"); t.Env["AA"] = "1" },
		"less env": func(t *Team) { delete(t.Env, "B") }, "pass_env": func(t *Team) { t.PassEnv = nil },
		"env_file": func(t *Team) { t.EnvFile = "" }, "max_turns": func(t *Team) { t.MaxTurns = 0 },
		"approvals": func(t *Team) { t.Approvals = "ask" }, "inbound": func(t *Team) { t.Inbound = "accept" },
		"mcp": func(t *Team) { t.MCP = true }, "mcp_allow": func(t *Team) { t.MCP, t.MCPAllow = true, []string{"reset_session"} },
	} {
		team := base()
		change(team)
		if other, ok := seen[team.Stamp()]; ok {
			t.Errorf("%s: same stamp as %s", name, other)
		}
		seen[team.Stamp()] = name
	}
	same := base()
	same.MCPTeams, same.MCPAllow = []string{"b"}, []string{"reset_session"}
	same.ApprovalTimeout, same.Notify, same.NotifyOn = 1, []string{"n"}, []string{"done"}
	same.Description, same.IdleTimeout, same.QueueLimit, same.File, same.Line = "d", 1, 2, "/f", 3
	for range 20 { // a map has another order each time
		if seen[same.Stamp()] == "base" {
			continue
		}
		t.Fatal("the stamp changed although no agent would be started otherwise")
	}
}

// Only a team with mcp = true is bound to some teams: to its list, even an empty one, or else
// to the teams that have mcp = true, too.
func TestMayWrite(t *testing.T) {
	c := &Config{Teams: map[string]*Team{
		"a": {MCP: true}, "b": {MCP: true}, "c": {}, "listed": {MCP: true, MCPTeams: []string{"c", "listed"}}, "none": {MCP: true, MCPTeams: []string{}},
	}}
	for from, want := range map[string]string{"a": "a b listed none", "c": "a b c listed none gone", "listed": "c listed", "none": "", "": "a b c listed none gone", "gone": "a b c listed none gone"} {
		var may []string
		for _, to := range []string{"a", "b", "c", "listed", "none", "gone"} {
			if c.MayWrite(from, to) {
				may = append(may, to)
			}
		}
		if got := strings.Join(may, " "); got != want {
			t.Errorf("%q may write to %q, want %q", from, got, want)
		}
	}
}

func TestCheckReportsWhatIsMissingNow(t *testing.T) {
	p := newHome(t)
	mustMkdir(t, p.Home+"/ok")
	mustWrite(t, p.Home+"/notexec", "")
	mustWrite(t, p.Home+"/open", "")
	mustDo(t, os.Chmod(p.Home+"/open", 0o640))
	mustWrite(t, p.Home+"/bad", "A=1\nTOKEN secret\n")
	mustWrite(t, p.Config, `command = "~/claude"
env_file = "~/open"
[teams.a]
dir = "~/none"
command = "~/notexec"
[teams.b]
dir = "~/ok"
env_file = "~/bad"
mcp_teams = ["a", "aa"]
[teams.c]
dir = "~/ok"
agent = "echo"
command = "~/notexec"
env_file = "~/none"
`)
	mustWrite(t, p.Confd+"/d.toml", "[teams.d]\ndir = \"~/notexec\"\nenv_file = \"\"\ncommand = \"claude\"\n")
	cfg, err := Load(p)
	mustDo(t, err)
	wantErr(t, p.Home, cfg.Check(), `~/.config/iris/config.toml:1:11: command ~/claude does not exist
~/.config/iris/config.toml:2:12: env_file: ~/open: others may read it (mode 0640); run: chmod 600 ~/open
~/.config/iris/config.toml:4:7: directory ~/none does not exist
~/.config/iris/config.toml:5:11: command ~/notexec is not executable
~/.config/iris/config.toml:8:12: env_file: ~/bad:2: no "="; write NAME=value
~/.config/iris/config.toml:9:1: mcp_teams: no team "aa"
~/.config/iris/config.toml:14:12: env_file: ~/none does not exist
~/.config/iris/conf.d/d.toml:2:7: directory ~/notexec is a file`)

	mustWrite(t, p.Config, "")
	mustDo(t, os.Remove(p.Confd+"/d.toml"))
	t.Setenv("IRIS_COMMAND", p.Home+"/x")
	cfg, err = Load(p, Override{"env_file", "/nowhere/e", "--env-file"})
	mustDo(t, err)
	wantErr(t, p.Home, cfg.Check(), "--env-file: env_file: /nowhere/e does not exist\nIRIS_COMMAND: command ~/x does not exist")
	cfg, err = Load(newHome(t), Override{"command", "claude", "--command"})
	mustDo(t, err)
	if ps := cfg.Check(); ps != nil {
		t.Errorf("all is well: got %v", ps)
	}
}

// A program without a path is found in the PATH of agents and not in that of the
// caller, such as cron: the result of the check does not depend on the caller.
func TestCheckDoesNotDependOnThePathOfTheCaller(t *testing.T) {
	p := newHome(t)
	t.Setenv("PATH", p.Home+"/bin")
	mustWrite(t, p.Config, "command = \"no-such\"\nnotify = [\"no-such\"]\n[teams.a]\ndir = \"~\"\n[teams.b]\ndir = \"~\"\ncommand = \"none\"\n")
	cfg, err := Load(p)
	mustDo(t, err)
	if ps := cfg.Check(); ps != nil {
		t.Errorf("got %v, want nothing", ps)
	}
}

func TestShow(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Config, "umask = \"2\"\nenv = { B = \"secret\", A = \"secret\" }\nmax_memory = \"1.5GiB\"\n[teams.'x.y']\ndir = \"~/a\\\"b\"\nidle_timeout = 0\nargs = ['-a', 'b c']\n")
	t.Setenv("IRIS_FAIR_WAIT", "90m")
	cfg, err := Load(p, Override{"max_processes", "4", "--max-processes"})
	mustDo(t, err)
	got := map[string]Setting{}
	for _, s := range cfg.Show() {
		if _, ok := got[s.Key]; ok {
			t.Errorf("%s: shown twice", s.Key)
		}
		got[s.Key] = s
	}
	for _, want := range []Setting{
		{"max_processes", "4", "--max-processes"},
		{"fair_wait", `"1h30m"`, "IRIS_FAIR_WAIT"},
		{"umask", `"002"`, p.Config + ":1"},
		{"env", "{ A = ..., B = ... }", p.Config + ":2"},
		{"max_memory", `"1536MiB"`, p.Config + ":3"},
		{"when_full", `"wait"`, "default"},
		{"drain_timeout", `"30s"`, "default"},
		{"log_max_size", `"10MB"`, "default"},
		{"denied_ok", "false", "default"},
		{"max_turns", "0", "default"},
		{"args", "[]", "default"},
		{`teams."x.y".dir`, `"` + p.Home + `/a\"b"`, p.Config + ":5"},
		{`teams."x.y".idle_timeout`, `"0"`, p.Config + ":6"},
		{`teams."x.y".args`, `["-a", "b c"]`, p.Config + ":7"},
		{"teams.echo.agent", `"echo"`, "built in"},
		{"teams.echo.dir", `"` + p.Home + `"`, "built in"},
	} {
		if got[want.Key] != want {
			t.Errorf("got %+v, want %+v", got[want.Key], want)
		}
	}
	if _, ok := got[`teams."x.y".max_turns`]; ok {
		t.Error("a team shows what it does not set itself")
	}
}
