package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestAddTeamAndRemoveTeam(t *testing.T) {
	p := newHome(t)
	dir := filepath.Join(p.Home, `src/it's "a" \ dir`)
	mustMkdir(t, dir)
	file, err := AddTeam(p, "a.b", dir, TeamOptions{Description: "tab\u00a0and \"quotes\"", MCP: true})
	mustDo(t, err)
	if want := p.Confd + "/a.b.toml"; file != want {
		t.Errorf("got %s, want %s", file, want)
	}
	for path, want := range map[string]os.FileMode{file: 0o600, p.Confd: os.ModeDir | 0o700, filepath.Dir(p.Config): os.ModeDir | 0o700} {
		if fi, err := os.Lstat(path); err != nil || fi.Mode() != want {
			t.Errorf("%s: got %v, %v; want %v", path, fi.Mode(), err, want)
		}
	}
	cfg, err := Load(p)
	mustDo(t, err)
	if a := cfg.Teams["a.b"]; a == nil || a.Dir != dir || a.Description != "tab\u00a0and \"quotes\"" || a.File != file || a.Line != 1 || !a.MCP {
		t.Errorf("got %+v", a)
	}

	_, err = AddTeam(p, "a.b", p.Home, TeamOptions{})
	wantErr(t, p.Home, err, `team "a.b" already exists with directory ~/src/it's "a" \ dir; replace it with --force, or remove it first`)
	_, err = AddTeam(p, "a.b", p.Home, TeamOptions{Force: true})
	mustDo(t, err)
	cfg, err = Load(p)
	mustDo(t, err)
	if a := cfg.Teams["a.b"]; a.Dir != p.Home || a.Description != "" || a.MCP {
		t.Errorf("after force: got %+v", a)
	}
	wantOnly(t, p.Confd, "a.b.toml")

	file, err = RemoveTeam(p, "a.b")
	if err != nil || file != p.Confd+"/a.b.toml" {
		t.Errorf("remove: got %s, %v", file, err)
	}
	wantOnly(t, p.Confd)
	_, err = RemoveTeam(p, "a.b")
	wantErr(t, p.Home, err, `no team "a.b"`)
}

func TestAddTeamStoresAnAbsoluteDirectory(t *testing.T) {
	p := newHome(t)
	mustMkdir(t, p.Home+"/x")
	t.Chdir(p.Home)
	for _, dir := range []string{"x", "./x/", p.Home + "/y/../x"} {
		_, err := AddTeam(p, "x", dir, TeamOptions{Force: true})
		mustDo(t, err)
		cfg, err := Load(p)
		mustDo(t, err)
		if got := cfg.Teams["x"].Dir; got != p.Home+"/x" {
			t.Errorf("%s: got %s", dir, got)
		}
	}
}

func TestAddTeamRefuses(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Home+"/file", "")
	mustWrite(t, p.Config, "[teams.web]\ndir = '/web'\n")
	mustWrite(t, p.Confd+"/two.toml", "[teams.two]\ndir='/'\n[teams.three]\ndir='/'\n")
	mustWrite(t, p.Confd+"/empty.toml", "# nothing\n")
	mustMkdir(t, p.Home+"/a\u202eb")
	mustMkdir(t, p.Home+"/a\xffb")
	for _, tt := range []struct {
		name, dir string
		opts      TeamOptions
		want      string
	}{
		{"a b", "~", TeamOptions{}, `team name "a b": " " is not allowed in it: a name is 1 to 63 letters, digits, ".", "_" or "-" and begins with a letter, a digit or "_"`},
		{"a", "", TeamOptions{}, `directory is empty; name the project's directory`},
		{"a", "~/none", TeamOptions{}, `directory ~/none does not exist`},
		{"a", "~/file", TeamOptions{Force: true}, `directory ~/file is a file`},
		{"a", "~/a\u202eb", TeamOptions{}, `directory "~/a\u202eb" holds "\u202e", which iris does not accept in names; link to it by another name`},
		{"a", "~/a\xffb", TeamOptions{}, `directory "~/a\xffb" is not UTF-8, which the configuration needs; link to it by another name`},
		{"a", "~", TeamOptions{Description: "a\nb"}, `description "a\nb": must be one line without control characters`},
		{"web", "~", TeamOptions{Force: true}, `team "web" is already defined at ~/.config/iris/config.toml:1; edit it there`},
		{"three", "~", TeamOptions{Force: true}, `team "three" is already defined at ~/.config/iris/conf.d/two.toml:3; edit it there`},
		{"two", "~", TeamOptions{Force: true}, `~/.config/iris/conf.d/two.toml: holds more or other things than team "two"; edit it yourself`},
		{"empty", "~", TeamOptions{}, `team "empty": ~/.config/iris/conf.d/empty.toml already exists; replace it with --force`},
		{"empty", "~", TeamOptions{Force: true}, `~/.config/iris/conf.d/empty.toml: holds more or other things than team "empty"; edit it yourself`},
	} {
		_, err := AddTeam(p, tt.name, strings.Replace(tt.dir, "~", p.Home, 1), tt.opts)
		wantErr(t, p.Home, err, tt.want)
	}
	wantOnly(t, p.Confd, "empty.toml", "two.toml")
}

func TestAddTeamLeavesAConfigurationThatLoads(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Config, "umask = 3\n")
	_, err := AddTeam(p, "a", p.Home, TeamOptions{})
	wantErr(t, p.Home, err, `~/.config/iris/config.toml:1:9: umask = 3: must be a string, in quotes`)
	if problems, ok := errors.AsType[Problems](err); !ok || len(problems) != 1 {
		t.Errorf("got a %T, want Problems", err)
	}
	mustWrite(t, p.Config, "")
	mustMkdir(t, p.Confd)
	mustDo(t, os.Chmod(p.Confd, 0o777))
	_, err = AddTeam(p, "a", p.Home, TeamOptions{})
	wantErr(t, p.Home, err, `~/.config/iris/conf.d: others may write to it (mode 0777); run: chmod go-w ~/.config/iris/conf.d`)
	wantOnly(t, p.Confd)
	mustDo(t, os.Chmod(p.Confd, 0o700))
	mustWrite(t, p.Confd+"/a.toml", "=")
	_, err = AddTeam(p, "a", p.Home, TeamOptions{Force: true})
	wantErr(t, p.Home, err, "~/.config/iris/conf.d/a.toml: is not valid, so what else it holds is not known; fix or remove it yourself:\n~/.config/iris/conf.d/a.toml:1:1: invalid character at start of key: U+003D '='")
	t.Setenv("IRIS_UMASK", "9") // somebody else's mistake
	mustDo(t, os.Remove(p.Confd+"/a.toml"))
	_, err = AddTeam(p, "a", p.Home, TeamOptions{})
	wantErr(t, p.Home, err, "<nil>")
}

// AddTeam never loses anything that a person has written into a drop-in.
func TestAddTeamKeepsWhatAPersonWrote(t *testing.T) {
	for _, text := range []string{
		"[teams.a]\ndir = \"/\"\nargs = [\"--model\", \"opus\"]\n",
		"[teams.a]\ndir = \"/\"\n\n[teams.a.env]\nPORT = \"80\"\n",
		"# mine\n[teams.a]\ndir = \"/\"\n",
		"[teams.a]\ndir = \"/\" # mine\n",
		"[teams.a]\ndir = \"/\"\ndescription = \"x\"\n# description = \"y\"\n",
		"[teams.a.env]\n",
		"teams.a = 1\n",
	} {
		p := newHome(t)
		file := p.Confd + "/a.toml"
		mustWrite(t, file, text)
		if _, err := AddTeam(p, "a", p.Home, TeamOptions{Force: true}); err == nil || !strings.Contains(err.Error(), file+": ") || !strings.Contains(err.Error(), "edit") {
			t.Errorf("%q: got %v", text, err)
		}
		if data, err := os.ReadFile(file); err != nil || string(data) != text {
			t.Errorf("got %q, %v, want %q", data, err, text)
		}
	}
	p := newHome(t)
	mustWrite(t, p.Confd+"/a.toml", "[teams.a]\ndir = \"/else\"\ndescription = \"by hand\"\n")
	_, err := AddTeam(p, "a", p.Home, TeamOptions{Force: true})
	wantErr(t, p.Home, err, "<nil>")
}

func TestTheBuiltInTeamIsReplacedWithForceOnly(t *testing.T) {
	p := newHome(t)
	_, err := AddTeam(p, "echo", p.Home, TeamOptions{})
	wantErr(t, p.Home, err, `team "echo" is built in; take its name with --force`)
	_, err = AddTeam(p, "echo", p.Home, TeamOptions{Force: true})
	wantErr(t, p.Home, err, "<nil>")
	_, err = RemoveTeam(p, "echo")
	wantErr(t, p.Home, err, "<nil>")
}

// The file that a crash leaves in the middle of AddTeam is not read.
func TestAHalfWrittenDropInIsNotRead(t *testing.T) {
	p := newHome(t)
	tmp := p.Confd + "/.new-1"
	mustWrite(t, tmp, "[teams.a]\ndi")
	if _, err := Load(p); err != nil {
		t.Errorf("%s is read: %v", tmp, err)
	}
}

// AddedTeams and RemoveTeam agree.
func TestAddedTeamsCanBeRemoved(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Config, "[teams.web]\ndir = '/web'\n")
	mustWrite(t, p.Confd+"/two.toml", "[teams.two]\ndir='/'\n[teams.three]\ndir='/'\n")
	mustWrite(t, p.Confd+"/other.toml", "[teams.another]\ndir='/'\n")
	for _, name := range []string{"b", "a"} {
		_, err := AddTeam(p, name, p.Home, TeamOptions{})
		mustDo(t, err)
	}
	cfg, err := Load(p)
	mustDo(t, err)
	added := cfg.AddedTeams()
	if strings.Join(added, " ") != "a b" {
		t.Errorf("got %q, want a and b", added)
	}
	for _, name := range cfg.TeamNames() {
		if _, err := RemoveTeam(p, name); (err == nil) != slices.Contains(added, name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestRemoveTeamRefuses(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Config, "umask = '022'\n\n[teams.web]\ndir = '/web'\n")
	mustWrite(t, p.Confd+"/two.toml", "[teams.two]\ndir='/'\n[teams.three]\ndir='/'\n")
	mustWrite(t, p.Confd+"/other.toml", "[teams.another]\ndir='/'\n")
	for name, want := range map[string]string{
		"web":   `team "web" is defined at ~/.config/iris/config.toml:3; remove it there`,
		"echo":  `team "echo" is built in and cannot be removed`,
		"two":   `~/.config/iris/conf.d/two.toml: holds more or other things than team "two"; edit it yourself`,
		"three": `team "three" is defined at ~/.config/iris/conf.d/two.toml:3; remove it there`,
		"other": `~/.config/iris/conf.d/other.toml: holds more or other things than team "other"; edit it yourself`,
		"wep":   `no team "wep"`,
		"../x":  `team name "../x": "." is not allowed at the beginning: a name is 1 to 63 letters, digits, ".", "_" or "-" and begins with a letter, a digit or "_"`,
	} {
		_, err := RemoveTeam(p, name)
		wantErr(t, p.Home, err, want)
	}
	mustWrite(t, p.Confd+"/top.toml", "umask='022'\n[teams.top]\ndir='/'\n")
	_, err := RemoveTeam(p, "top")
	wantErr(t, p.Home, err, `~/.config/iris/conf.d/top.toml: holds more or other things than team "top"; edit it yourself`)
	mustWrite(t, p.Confd+"/good.toml", "# mine\n[teams.good]\ndir='/'\nargs=['x']\n")
	_, err = RemoveTeam(p, "good") // in spite of the mistake in top.toml
	wantErr(t, p.Home, err, "<nil>")
	wantOnly(t, p.Confd, "other.toml", "top.toml", "two.toml")
}

func TestTwoWhoAddTheSameTeamDoNotBothSucceed(t *testing.T) {
	p := newHome(t)
	for range 20 {
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			wg.Go(func() { _, errs[i] = AddTeam(p, "a", p.Home, TeamOptions{}) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			}
		}
		if won != 1 {
			t.Fatalf("%d of %d succeeded: %v", won, len(errs), errs)
		}
		wantOnly(t, p.Confd, "a.toml")
		_, err := RemoveTeam(p, "a")
		mustDo(t, err)
	}
}

// Whatever a directory is called, the drop-in brings back the same name or
// says that it cannot.
func TestADropInHoldsAnyDirectoryName(t *testing.T) {
	p := newHome(t)
	part := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune(`"'\ #=[].~$é`)))).
		Filter(func(s string) bool {
			return s != "" && s != "." && s != ".." && len(s) < 200 && !strings.ContainsAny(s, "/\x00")
		})
	name := rapid.StringMatching(`[A-Za-z0-9_][A-Za-z0-9._-]{0,20}`)
	rapid.Check(t, func(rt *rapid.T) {
		dir := filepath.Join(p.Home, "d", part.Draw(rt, "part"))
		team := name.Draw(rt, "name")
		description := part.Draw(rt, "description")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(filepath.Join(p.Home, "d"))
		_, err := AddTeam(p, team, dir, TeamOptions{Description: description})
		if unprintable(dir) != "" || unprintable(description) != "" {
			if err == nil {
				rt.Fatalf("%q with %q was accepted", dir, description)
			}
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		cfg, err := Load(p)
		if err != nil {
			rt.Fatal(err)
		}
		if got := cfg.Teams[team]; got == nil || got.Dir != dir || got.Description != description {
			rt.Fatalf("got %+v, want directory %q and description %q", got, dir, description)
		}
		if _, err := RemoveTeam(p, team); err != nil {
			rt.Fatal(err)
		}
	})
}

// wantOnly checks the content of a directory, including hidden files.
func wantOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	mustDo(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}
