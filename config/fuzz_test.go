package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
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
		}
	})
}

func checkProblems(t *testing.T, ps Problems, data []byte) {
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

func checkConfig(t *testing.T, cfg *Config) {
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
	within("umask", int64(cfg.Umask), 0, 0o777)
	within("log_max_size", cfg.LogMaxSize, mega, 1000*mega)
	within("log_max_files", int64(cfg.LogMaxFiles), 1, 100)
	settings := func(s Settings) {
		within("idle_timeout", int64(s.IdleTimeout), 0, year)
		within("stall_timeout", int64(s.StallTimeout), 0, year)
		within("start_timeout", int64(s.StartTimeout), 1, year)
		within("queue_limit", int64(s.QueueLimit), 1, 1000*1000)
		within("max_turns", int64(s.MaxTurns), 0, 1000*1000)
		within("max_memory", s.MaxMemory, 0, 1<<50)
		if s.OnStall != "report" && s.OnStall != "interrupt" || s.Command == "" {
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
