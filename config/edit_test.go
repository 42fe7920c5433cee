package config

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

func TestTextSet(t *testing.T) {
	api := []string{"teams", "api"}
	for _, tt := range []struct {
		name, text string
		table      []string
		want       string // of setting idle_timeout to 7; empty if that is left to a person
	}{
		{"empty", "", nil, "idle_timeout = 7\n"},
		{"replaced", "# one\nidle_timeout =  \"5m\"   # two\nargs = []\n", nil, "# one\nidle_timeout =  7   # two\nargs = []\n"},
		{"replaced at the end", "idle_timeout = 0", nil, "idle_timeout = 7"},
		{"after the last key", "a = 1\nb = [\n  1, # ]\n] # c\n\n# team\n[teams.api]\nidle_timeout = 0\n", nil, "a = 1\nb = [\n  1, # ]\n] # c\nidle_timeout = 7\n\n# team\n[teams.api]\nidle_timeout = 0\n"},
		{"before the first table", "# team\n[teams.api]\n", nil, "idle_timeout = 7\n\n# team\n[teams.api]\n"},
		{"where the sample shows it", "a = 1\n\n## text\n# idle_timeout = \"5m\"\n\n# [teams.api]\n# idle_timeout = 0\n", nil, "a = 1\n\n## text\n# idle_timeout = \"5m\"\nidle_timeout = 7\n\n# [teams.api]\n# idle_timeout = 0\n"},
		{"no line feed at the end", "a = 1", nil, "a = 1\nidle_timeout = 7\n"},
		{"of Windows", "\ufeffa = 1\r\n", nil, "\ufeffa = 1\r\nidle_timeout = 7\r\n"},
		{"empty of Windows", "\ufeff", nil, "\ufeffidle_timeout = 7\n"},
		{"of a team", "[teams.api]\ndir = \"/a\"\n\n[teams.api.env]\nidle_timeout = \"x\"\n[teams.web]\n", api, "[teams.api]\ndir = \"/a\"\nidle_timeout = 7\n\n[teams.api.env]\nidle_timeout = \"x\"\n[teams.web]\n"},
		{"of a team without keys", "[ teams . \"api\" ] # x\n", api, "[ teams . \"api\" ] # x\nidle_timeout = 7\n"},
		{"of a team, replaced", "[teams]\napi.idle_timeout = '''\n1'''\n", api, "[teams]\napi.idle_timeout = 7\n"},
		{"a list replaced", "idle_timeout = [\"]\", [1],\n # ]\n]\nx = 1\n", nil, "idle_timeout = 7\nx = 1\n"},
		{"a table replaced", "idle_timeout = {a = \"}\"}\nx = 1\n", nil, "idle_timeout = 7\nx = 1\n"},
		{"an inline team", "teams = { api = { dir = \"/a\" } }\n", api, ""},
		{"a dotted team", "teams.api.dir = \"/a\"\n", api, ""},
		{"a table of that name", "[idle_timeout]\nx = 1\n", nil, ""},
		{"a dotted table", "idle_timeout.x = 1\n", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseText([]byte(tt.text)).set(tt.table, "idle_timeout", "7")
			if string(got) != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v\nwant %q", got, err, tt.want)
			}
		})
	}
}

func TestTextRename(t *testing.T) {
	for text, want := range map[string]string{
		"# api\n[teams.api] # api\ndir = \"api\"\n[teams.\"api\".env]\nA = \"api\"\n[teams.api2]\n": "# api\n[teams.\"x.y\"] # api\ndir = \"api\"\n[teams.\"x.y\".env]\nA = \"api\"\n[teams.api2]\n",
		"[teams]\napi.dir = \"/a\"\napi.agent = \"echo\"\n":                                         "[teams]\n\"x.y\".dir = \"/a\"\n\"x.y\".agent = \"echo\"\n",
		"teams.api.dir = \"/a\"\n":             "teams.\"x.y\".dir = \"/a\"\n",
		"[teams]\napi = { dir = \"/a\" }\n":    "[teams]\n\"x.y\" = { dir = \"/a\" }\n",
		"teams = { api = { dir = \"/a\" } }\n": "",
	} {
		got, err := parseText([]byte(text)).rename("api", "x.y")
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v\nwant %q", text, got, err, want)
		}
	}
}

// A change of one key changes nothing else.
func FuzzTextSet(f *testing.F) {
	for _, seed := range []string{Sample(), "a=[1,[\"]\"]]\n[teams.api]\nb={c=']'}\n", "max_processes=1#x", "[[a]]\n", "max_processes . x = 1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after map[string]any
		if _, _, problems := parseTOML("f", data); len(problems) > 0 || toml.Unmarshal(data, &before) != nil {
			return
		}
		got, err := parseText(data).set(nil, "max_processes", "7")
		if err != nil {
			return
		}
		want := map[string]any{"max_processes": int64(7)}
		maps.Copy(want, before)
		want["max_processes"] = int64(7)
		if err := toml.Unmarshal(got, &after); err != nil || !reflect.DeepEqual(after, want) {
			t.Errorf("%q became %q: %v", data, got, err)
		}
	})
}

func TestSetWritesAValidSetting(t *testing.T) {
	p := newHome(t)
	mustMkdir(t, p.Home+"/api")
	mustAdd(t, p, "api", p.Home+"/api")
	mustWrite(t, p.Home+"/dotfiles.toml", "# mine\nmax_processes = 3\n")
	mustDo(t, os.Chmod(p.Home+"/dotfiles.toml", 0o644))
	mustDo(t, os.Symlink(p.Home+"/dotfiles.toml", p.Config))

	for _, tt := range []struct {
		team, key string
		words     []string
		want      string // the error, empty for none
	}{
		{"", "max_processes", []string{"4"}, ""},
		{"", "idle_timeout", []string{"10m"}, ""},
		{"", "denied_ok", []string{"true"}, ""},
		{"", "spare_below", []string{".9"}, ""},
		{"api", "spare", []string{"true"}, ""},
		{"", "spare_below", []string{"80%"}, `~/.config/iris/config.toml:5:15: spare_below = "80%": must be a number from 0.01 to 1, such as 0.8, without quotes`},
		{"", "pass_env", []string{"A", "B_*"}, ""},
		{"api", "args", []string{"--model", "a b"}, ""},
		{"api", "args", []string{`["--model", "opus"]`}, ""},
		{"api", "env", []string{`{ PORT = "1" }`}, ""},
		{"api", "description", []string{`the "API"`}, ""},
		{"api", "pass_env", []string{""}, ""},
		{"api", "notify", []string{""}, ""},
		{"api", "notify_on", []string{"done", "failed"}, ""},
		{"api", "notify_on", []string{"never"}, `~/.config/iris/conf.d/api.toml:9:14: notify_on[0] = "never": must be "approval", "failed", "unknown", "limited", "budget" or "done"`},
		{"api", "approval_notify", []string{"x"}, `"approval_notify" is now "notify": write notify in its place, with notify_on = ["approval"] beside it; the program gets an event on its standard input (iris-config(5))`},
		{"", "max_processes", []string{"many"}, `~/.config/iris/config.toml:2:17: max_processes = "many": must be a whole number, 1 to 1000`},
		{"", "max_processes", []string{"4", "5"}, "max_processes has one value, and there are 2; put quotes around it"},
		{"", "env", []string{"A=b"}, `env is a table; write it as one word, such as '{ NAME = "value" }', or use "iris config edit"`},
		{"api", "env.PORT", []string{"1"}, `env is a table; write it as one word, such as '{ NAME = "value" }', or use "iris config edit"`},
		{"api", "dir.x", []string{"1"}, `unknown key "dir.x"; iris-config(5) lists all keys`},
		{"", "idle_timout", []string{"1m"}, `unknown key "idle_timout"; did you mean "idle_timeout"?`},
		{"", "dir", []string{"/"}, "dir is a setting of a team; name the team"},
		{"api", "when_full", []string{"wait"}, "when_full is no setting of a team; set it without one"},
		{"api", "dir", []string{"api"}, `~/.config/iris/conf.d/api.toml:2:7: dir = "api": is relative; write an absolute path, such as "~/api" or "~/api"`},
		{"ap", "dir", []string{"/"}, `no team "ap"`},
		{"echo", "dir", []string{"/"}, `team "echo" is built in and has no settings in a file`},
	} {
		_, err := Set(p, tt.team, tt.key, tt.words)
		if tt.want == "" {
			mustDo(t, err)
		} else {
			wantErr(t, p.Home, err, tt.want)
		}
	}
	if got := mustRead(t, p.Home+"/dotfiles.toml"); got != "# mine\nmax_processes = 4\nidle_timeout = \"10m\"\ndenied_ok = true\nspare_below = 0.9\npass_env = [\"A\", \"B_*\"]\n" {
		t.Errorf("config.toml:\n%s", got)
	}
	if fi, err := os.Lstat(p.Config); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", fi, err)
	}
	if fi, err := os.Stat(p.Config); err != nil || fi.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if got := mustRead(t, p.Confd+"/api.toml"); !strings.HasSuffix(got, "/api\"\nspare = true\nargs = [\"--model\", \"opus\"]\nenv = { PORT = \"1\" }\ndescription = \"the \\\"API\\\"\"\npass_env = []\nnotify = []\nnotify_on = [\"done\", \"failed\"]\n") {
		t.Errorf("api.toml:\n%s", got)
	}
}

// What "iris config check" reports is refused, unless it was there before.
func TestSetRefusesWhatCheckReports(t *testing.T) {
	p := newHome(t)
	mustMkdir(t, p.Home+"/web")
	mustWrite(t, p.Home+"/env", "A=1\n")
	mustWrite(t, p.Config, "[teams.api]\ndir = \"~/gone\"\n[teams.web]\ndir = \"~/web\"\n")
	for _, tt := range []struct{ team, key, value, want string }{
		{"web", "dir", "~/none", "~/.config/iris/config.toml:4:7: directory ~/none does not exist"},
		{"web", "dir", "~/gone", "~/.config/iris/config.toml:4:7: directory ~/gone does not exist"},
		{"web", "env_file", "~/none", "~/.config/iris/config.toml:5:12: env_file: ~/none does not exist"},
		{"web", "command", "/none", "~/.config/iris/config.toml:5:11: command /none does not exist"},
		{"web", "notify", "/none", "~/.config/iris/config.toml:5:1: notify: command /none does not exist"},
		{"", "env_file", "~/none", "~/.config/iris/config.toml:1:12: env_file: ~/none does not exist"},
		{"web", "env_file", "~/env", "<nil>"},
		{"web", "command", "none", "<nil>"},
		{"", "idle_timeout", "1m", "<nil>"}, // the directory of api was gone before
		{"api", "dir", "~/web", "<nil>"},
	} {
		_, err := Set(p, tt.team, tt.key, []string{tt.value})
		wantErr(t, p.Home, err, tt.want)
	}
}

func TestRenameTeam(t *testing.T) {
	p := newHome(t)
	mustMkdir(t, p.Home+"/api")
	mustAdd(t, p, "api", p.Home+"/api")
	mustWrite(t, p.Config, "# mine\n[teams.web]\ndir = \"~/web\" # web\n")
	for _, tt := range []struct{ from, to, want string }{
		{"api", "x.y", ""},
		{"web", "shop", ""},
		{"api", "z", `no team "api"`},
		{"shop", "x.y", `team "x.y" already exists with directory ~/api`},
		{"shop", "echo", `team "echo" already exists with directory ~`},
		{"echo", "z", `team "echo" is built in and has no settings in a file`},
		{"shop", "../z", `team name "../z": "." is not allowed at the beginning: ` + nameRule},
	} {
		_, err := RenameTeam(p, tt.from, tt.to)
		if tt.want == "" {
			mustDo(t, err)
		} else {
			wantErr(t, p.Home, err, tt.want)
		}
	}
	if got := mustRead(t, p.Config); got != "# mine\n[teams.shop]\ndir = \"~/web\" # web\n" {
		t.Errorf("got %q", got)
	}
	cfg, err := Load(p)
	mustDo(t, err)
	if got := cfg.AddedTeams(); !reflect.DeepEqual(got, []string{"x.y"}) || cfg.Teams["x.y"].Dir != p.Home+"/api" {
		t.Errorf("added: %q", got)
	}
}

// There is one team at every moment: a crash in the middle leaves it under its old name,
// in a file with the new one.
func TestRenameTeamCanBeKilled(t *testing.T) {
	p := newHome(t)
	mustAdd(t, p, "api", p.Home)
	teams := func() []string {
		cfg, err := Load(p)
		mustDo(t, err)
		return slices.DeleteFunc(cfg.TeamNames(), func(name string) bool { return name == agentEcho })
	}
	mustDo(t, p.moveDropin("api", "shop"))
	wantOnly(t, p.Confd, "shop.toml")
	if got := teams(); !slices.Equal(got, []string{"api"}) {
		t.Errorf("killed: %q", got)
	}
	_, err := RenameTeam(p, "api", "shop")
	mustDo(t, err)
	wantOnly(t, p.Confd, "shop.toml")
	if got := teams(); !slices.Equal(got, []string{"shop"}) {
		t.Errorf("again: %q", got)
	}
}

// A file that has the name already stays, whatever it holds; and one that cannot be
// written gets its name back.
func TestRenameTeamThatFailsChangesNothing(t *testing.T) {
	p := newHome(t)
	mustAdd(t, p, "api", p.Home)
	mustWrite(t, p.Confd+"/empty.toml", "# mine\n")
	_, err := RenameTeam(p, "api", "empty")
	wantErr(t, p.Home, err, "~/.config/iris/conf.d/empty.toml already exists; remove it, or take another name")
	err = p.renameDropin("api", "shop", []byte("what it held before"), nil)
	wantErr(t, p.Home, err, "~/.config/iris/conf.d/shop.toml has just been changed by somebody else; try again")
	wantOnly(t, p.Confd, "api.toml", "empty.toml")
}

// A file that a person edits at the same time is not overwritten.
func TestSetSeesThatAFileHasChanged(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Config, "max_processes = 3\n")
	sources, _ := readSources(p)
	mustWrite(t, p.Config, "max_processes = 5\n")
	err := p.change(p.Config, dataOf(sources, p.Config), []byte("max_processes = 4\n"))
	wantErr(t, p.Home, err, "~/.config/iris/config.toml has just been changed by somebody else; try again")
	if got := mustRead(t, p.Config); got != "max_processes = 5\n" {
		t.Errorf("got %q", got)
	}
}

// Changes that are made at the same time are all kept.
func TestSetLosesNoOtherChange(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Config, "max_processes = 3\n")
	for _, n := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"} {
		var wg sync.WaitGroup
		keys := []string{"max_processes", "queue_limit", "max_turns", "log_max_files"}
		errs := make([]error, len(keys))
		for i, key := range keys {
			wg.Go(func() { _, errs[i] = Set(p, "", key, []string{n}) })
		}
		wg.Wait()
		text := mustRead(t, p.Config)
		for i, key := range keys {
			if errs[i] != nil || !strings.Contains(text, key+" = "+n+"\n") {
				t.Errorf("%s = %s: %v\n%s", key, n, errs[i], text)
			}
		}
	}
}

func mustAdd(t *testing.T, p Paths, name, dir string) {
	t.Helper()
	if _, err := AddTeam(p, name, dir, TeamOptions{}); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	mustDo(t, err)
	return string(data)
}
