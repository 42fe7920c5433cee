package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// fields returns the keys that the fields of a struct hold.
func fields(of any) map[string]bool {
	out := map[string]bool{}
	for _, f := range reflect.VisibleFields(reflect.TypeOf(of)) {
		if key := f.Tag.Get("toml"); key != "" {
			out[key] = true
		}
	}
	return out
}

func TestEveryFieldHasAKeyAndEveryKeyAField(t *testing.T) {
	top, team := fields(Config{}), fields(Team{})
	seen := map[string]bool{}
	for _, k := range Keys() {
		if seen[k.Name] {
			t.Errorf("%s: in the table twice", k.Name)
		}
		seen[k.Name] = true
		if top[k.Name] != k.Top || team[k.Name] != k.Team {
			t.Errorf("%s: field in Config %v, in Team %v; in the table %v, %v", k.Name, top[k.Name], team[k.Name], k.Top, k.Team)
		}
		if k.Doc == "" || !strings.HasSuffix(k.Doc, ".") || k.Type == "" {
			t.Errorf("%s: no whole documentation: %+v", k.Name, k)
		}
	}
	for name := range top {
		if !seen[name] {
			t.Errorf("Config has a field for %s, which is not in the table", name)
		}
	}
	for name := range team {
		if !seen[name] {
			t.Errorf("Team has a field for %s, which is not in the table", name)
		}
	}
}

func TestKeyDescriptions(t *testing.T) {
	for name, want := range map[string]Key{
		"max_processes":          {Type: "whole number, 1 to 1000", Default: "10", Top: true, Env: "IRIS_MAX_PROCESSES"},
		"max_memory_total":       {Type: `size or percentage, or "0" for no limit`, Default: `"75%"`, Top: true, Env: "IRIS_MAX_MEMORY_TOTAL"},
		"max_turns":              {Type: "whole number, 1 to 1000000, or 0 for no limit", Default: "0", Top: true, Team: true, Env: "IRIS_MAX_TURNS"},
		"max_messages_per_agent": {Type: "whole number, 1 to 1000000, or 0 for no limit", Default: "0", Top: true, Team: true, Env: "IRIS_MAX_MESSAGES_PER_AGENT"},
		"when_full":              {Type: `"wait", "fail" or "evict"`, Default: `"wait"`, Top: true, Env: "IRIS_WHEN_FULL", Words: []string{"wait", "fail", "evict"}},
		"idle_timeout":           {Type: `duration, or "0" for never`, Default: `"5m"`, Top: true, Team: true, Env: "IRIS_IDLE_TIMEOUT"},
		"stop_grace":             {Type: "duration", Default: `"5s"`, Top: true, Env: "IRIS_STOP_GRACE"},
		"max_memory":             {Type: `size, or "0" for no limit`, Default: `"0"`, Top: true, Team: true, Env: "IRIS_MAX_MEMORY"},
		"spare_below":            {Type: "number from 0.01 to 1", Default: "0.8", Top: true, Team: true, Env: "IRIS_SPARE_BELOW"},
		"env":                    {Type: "table of strings", Top: true, Team: true},
		"dir":                    {Type: "directory", Team: true},
		"budget":                 {Type: "table of dollars", Top: true, Team: true},
		"mcp":                    {Type: "true or false", Default: "false", Team: true, Words: []string{"true", "false"}},
		"mcp_teams":              {Type: "list of strings", Team: true},
		"mcp_allow":              {Type: `list of the words "reset_session"`, Team: true, Words: []string{"reset_session"}},
		"mcp_max_depth":          {Type: "whole number, 1 to 1000, or 0 for no limit", Default: "3", Top: true, Env: "IRIS_MCP_MAX_DEPTH"},
		"mcp_max_messages":       {Type: "whole number, 1 to 1000000, or 0 for no limit", Default: "100", Top: true, Env: "IRIS_MCP_MAX_MESSAGES"},
		"notify":                 {Type: "list of strings", Top: true, Team: true},
		"notify_on":              {Type: `list of the words "approval", "failed", "unknown", "limited", "budget" and "done"`, Default: `["approval", "failed", "unknown"]`, Top: true, Team: true, Words: []string{"approval", "failed", "unknown", "limited", "budget", "done"}},
	} {
		for _, k := range Keys() {
			if k.Name == name {
				want.Name, want.Doc = name, k.Doc
				if !reflect.DeepEqual(k, want) {
					t.Errorf("got %+v, want %+v", k, want)
				}
			}
		}
	}
}

// Every default must be a value that a file may hold.
func TestDefaultsAreValid(t *testing.T) {
	p := newHome(t)
	for _, k := range Keys() {
		if k.Default == "" {
			continue
		}
		text := k.Name + " = " + k.Default + "\n"
		if !k.Top {
			text = "[teams.a]\ndir = '/a'\n" + text
		}
		mustWrite(t, p.Config, text)
		if _, err := Load(p); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
}

func TestSampleLoadsAsItIsAndWithEveryKeyTaken(t *testing.T) {
	p := newHome(t)
	bare, err := Load(p)
	mustDo(t, err)
	mustWrite(t, p.Config, Sample())
	cfg, err := Load(p)
	mustDo(t, err)
	cfg.Files = nil
	if !reflect.DeepEqual(cfg, bare) {
		t.Errorf("the sample changes something: got %+v, want %+v", cfg, bare)
	}

	var taken strings.Builder
	for line := range strings.Lines(Sample()) {
		rest, ok := strings.CutPrefix(line, "# ")
		if ok && (strings.HasPrefix(rest, "[") || strings.Contains(rest, " = ")) {
			line = rest
		}
		taken.WriteString(line)
	}
	mustWrite(t, p.Config, taken.String())
	cfg, err = Load(p)
	if err != nil {
		t.Fatalf("%v\n%s", err, taken.String())
	}
	got, want := cfg.Settings, bare.Settings
	for _, s := range []*Settings{&got, &want} {
		s.Args, s.Env, s.PassEnv, s.Notify = nil, nil, nil, nil // empty in one, nil in the other
	}
	if !reflect.DeepEqual(got, want) || cfg.MaxProcesses != bare.MaxProcesses {
		t.Errorf("got %+v, want the defaults %+v", got, want)
	}
	api := cfg.Teams["api"]
	if api == nil || api.Dir != filepath.Join(p.Home, "src/api") || api.Env["PORT"] != "8080" {
		t.Errorf("team: got %+v", api)
	}
	for _, k := range Keys() {
		if _, ok := cfg.origin.of(k.Name); k.Top && !ok {
			t.Errorf("%s is not in the sample", k.Name)
		}
		if _, ok := api.origin.of(k.Name); k.Team && !k.Top && !ok {
			t.Errorf("%s is not in the sample's team", k.Name)
		}
	}
}

func TestSampleFitsAPage(t *testing.T) {
	for line := range strings.Lines(Sample()) {
		if len(line) > 81 || strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
			t.Errorf("too long, or blanks at its end: %q", line)
		}
	}
	if os.Getenv("SHOW_SAMPLE") != "" {
		t.Log("\n" + Sample())
	}
}
