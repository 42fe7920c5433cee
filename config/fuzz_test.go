package config

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"pgregory.net/rapid"
)

// FuzzLoad: whatever a file holds there are either problems, each with a place
// in the file, or a configuration that keeps every rule.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(Sample()))
	for _, s := range []string{
		"", "max_processes = 0", "idle_timeout = 300", "[teams.a]\ndir='~/x'\n[teams.a]", "teams.a.dir='/'\n[teams.a.env]\nA='1'",
		"[[teams]]\n[teams.x]", "a.b.c = {d={e=[[1],[{f=2}]]}}", "env={A='1',A='2'}", "[teams]\na={dir='/a',args=['x']}\n", "\ufeffumask='0'\r\n",
		"max_turns=1_000\nmax_memory='1e5'\n", "args=['\\u0000',1979-05-27T07:32:00Z,inf,nan,0x_1]", "teams=1\n[teams.a]", "\xff\xfe", "[teams.\"\\u202e\"]\n",
		"x=[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "dir=\"\"\"\n\n\"\"\"", "[a]\n[a.b]\n[a]\nb=1", "stall_timeout='2562047h47m16.854775807s'",
	} {
		f.Add([]byte(s))
	}
	p := Paths{Home: "/h", Config: "/h/config.toml", Confd: "/h/conf.d"}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, dropin := range []bool{false, true} {
			cfg, err := build(p, []source{{path: "f", dropin: dropin, data: data}}, nil, nil)
			if (cfg == nil) == (err == nil) {
				t.Fatalf("got both or neither of %v and %v", cfg, err)
			}
			if err != nil {
				checkProblems(t, err.(Problems), data)
				continue
			}
			checkConfig(t, cfg)
			var into map[string]any
			if err := toml.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &into); err != nil {
				t.Errorf("it is no TOML: %v", err)
			}
		}
	})
}

func checkProblems(t failer, ps Problems, data []byte) {
	t.Helper()
	lines := 1
	for _, c := range data {
		if c == '\n' {
			lines++
		}
	}
	last := Problem{}
	for _, p := range ps {
		if p.File != "f" || p.Line < 1 || p.Line > lines || p.Col < 1 || p.Col > len(data)+1 || p.Msg == "" {
			t.Errorf("no place in the file: %+v", p)
		}
		if p.Line < last.Line {
			t.Errorf("%v comes after %v", p, last)
		}
		if !utf8.ValidString(p.Msg) {
			t.Errorf("not UTF-8: %q", p.Msg)
		}
		last = p
	}
}

func checkConfig(t failer, cfg *Config) {
	t.Helper()
	within := func(what string, n, low, high int64) {
		if n < low || n > high {
			t.Errorf("%s is %d, not within %d and %d", what, n, low, high)
		}
	}
	within("max_processes", int64(cfg.MaxProcesses), 1, 1000)
	within("health_check_interval", int64(cfg.HealthCheckInterval), second, year)
	within("fair_wait", int64(cfg.FairWait), 0, year)
	within("stop_grace", int64(cfg.StopGrace), 1, year)
	within("drain_timeout", int64(cfg.DrainTimeout), 0, year)
	within("orphan_timeout", int64(cfg.OrphanTimeout), 1, year)
	within("orphan_grace", int64(cfg.OrphanGrace), 1, year)
	within("umask", int64(cfg.Umask), 0, 0o777)
	within("log_max_size", cfg.LogMaxSize, mega, 1000*mega)
	within("log_max_files", int64(cfg.LogMaxFiles), 1, 100)
	settings := func(s Settings) {
		within("idle_timeout", int64(s.IdleTimeout), 0, year)
		within("freeze_after", int64(s.FreezeAfter), 0, year)
		within("approval_timeout", int64(s.ApprovalTimeout), 0, year)
		if s.Approvals != "deny" && s.Approvals != "ask" || len(s.Notify) > 0 && s.Notify[0] == "" {
			t.Errorf("got %+v", s)
		}
		within("stall_timeout", int64(s.StallTimeout), 0, year)
		within("start_timeout", int64(s.StartTimeout), 1, year)
		within("queue_limit", int64(s.QueueLimit), 1, 1000*1000)
		within("max_turns", int64(s.MaxTurns), 0, 1000*1000)
		within("max_messages_per_agent", int64(s.MaxMessagesPerAgent), 0, 1000*1000)
		within("max_memory", s.MaxMemory, 0, 1<<50)
		if s.OnStall != "report" && s.OnStall != "interrupt" || s.Program() == "" {
			t.Errorf("got %+v", s)
		}
		if s.EnvFile != "" && !filepath.IsAbs(s.EnvFile) {
			t.Errorf("env_file %q is relative", s.EnvFile)
		}
		for name := range s.Env {
			if envNameRule(name) != "" {
				t.Errorf("variable %q", name)
			}
		}
	}
	settings(cfg.Settings)
	for name, team := range cfg.Teams {
		settings(team.Settings)
		if CheckName("team", name) != nil || team.Name != name || !filepath.IsAbs(team.Dir) || filepath.Clean(team.Dir) != team.Dir ||
			unprintable(team.Dir) != "" || team.Agent != "claude" && team.Agent != "echo" {
			t.Errorf("team %q: got %+v", name, team)
		}
	}
	cfg.Show()
}

func BenchmarkLoadThousandTeams(b *testing.B) {
	p := newHome(b)
	var s strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&s, "[teams.t%d]\ndir = \"/srv/t%d\"\nidle_timeout = \"1m\"\n", i, i)
	}
	mustWrite(b, p.Config, s.String())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(p); err != nil {
			b.Fatal(err)
		}
	}
}

// A mutated file is seldom valid, so here every value is at least well-formed.
func TestAValueIsWithinItsRangeOrAProblem(t *testing.T) {
	p := Paths{Home: "/h", Config: "/h/config.toml", Confd: "/h/conf.d"}
	number := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2, 2000), rapid.SampledFrom([]int64{0, 1, 1000, 1001, 1 << 40}))
	unit := rapid.SampledFrom([]string{"", "ns", "ms", "s", "m", "h", "h0m", "B", "KB", "MB", "GiB", "TiB", ".5GB"})
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "0", "wait", "evict", "info", "report", "/", "~", "$HOME/x", "echo", "/a\u202e"}))
	value := rapid.Custom(func(rt *rapid.T) string {
		switch rapid.IntRange(0, 4).Draw(rt, "kind") {
		case 0:
			return fmt.Sprint(number.Draw(rt, "number"))
		case 1:
			return tomlString(fmt.Sprint(number.Draw(rt, "number")) + unit.Draw(rt, "unit"))
		case 2:
			return tomlString(text.Draw(rt, "text"))
		case 3:
			return fmt.Sprint(rapid.Bool().Draw(rt, "bool"))
		}
		return "[" + tomlString(text.Draw(rt, "text")) + "]"
	})
	rapid.Check(t, func(rt *rapid.T) {
		var file, table strings.Builder
		table.WriteString("[teams.a]\n")
		keys := rapid.SliceOfNDistinct(rapid.SampledFrom(Keys()), 1, 2, func(k Key) string { return k.Name }).Draw(rt, "keys")
		if !slices.ContainsFunc(keys, func(k Key) bool { return k.Name == "dir" }) {
			table.WriteString("dir = '/a'\n")
		}
		for _, k := range keys {
			b := &table
			if k.Top && (!k.Team || rapid.Bool().Draw(rt, "top")) {
				b = &file
			}
			fmt.Fprintf(b, "%s = %s\n", k.Name, value.Draw(rt, "value"))
		}
		data := []byte(file.String() + table.String())
		cfg, err := build(p, []source{{path: "f", data: data}}, nil, nil)
		if err != nil {
			checkProblems(rt, err.(Problems), data)
			return
		}
		checkConfig(rt, cfg)
	})
}

// failer is what testing and rapid have in common.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}
