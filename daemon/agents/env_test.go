package agents

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"iris/config"
)

// patience is how long a test waits for an event, even on a busy machine.
const patience = time.Minute

func TestMain(m *testing.M) {
	ShellTimeout = patience
	goleak.VerifyTestMain(m)
}

// value returns the value of a variable, and whether it is set.
func value(b *Built, name string) (string, bool) {
	for _, v := range b.Vars {
		if v.Name == name {
			return v.Value, true
		}
	}
	return "", false
}

// ownBase returns an Environment with these variables.
func ownBase(vars map[string]string) *Environment { return &Environment{own: vars} }

func built(t *testing.T, e *Environment, s config.Settings) *Built {
	t.Helper()
	b, err := e.Build(t.Context(), &config.Team{Name: "api", Agent: "claude", Settings: s}, "/run/s")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// has checks which variables an agent gets, separated by spaces.
func has(t *testing.T, b *Built, wanted, unwanted string) {
	t.Helper()
	for name := range strings.FieldsSeq(wanted) {
		if !b.Has(name) {
			t.Errorf("%s did not reach the agent", name)
		}
	}
	for name := range strings.FieldsSeq(unwanted) {
		if b.Has(name) {
			t.Errorf("%s reached the agent", name)
		}
	}
}

// all sets each of the names to 1.
func all(names string) map[string]string {
	vars := map[string]string{}
	for name := range strings.FieldsSeq(names) {
		vars[name] = "1"
	}
	return vars
}

func TestEnvironmentIsAnAllowList(t *testing.T) {
	const (
		wanted = "HOME PATH LC_ALL ANTHROPIC_API_KEY ANTHROPIC_MODEL CLAUDE_CODE_USE_GATEWAY CLAUDE_CODE_OAUTH_TOKEN CLAUDE_CONFIG_DIR " +
			"CLAUDE_CODE_MAX_OUTPUT_TOKENS CLAUDE_CODE_SESSIONEND_HOOKS_TIMEOUT_MS MCP_TIMEOUT BASH_MAX_TIMEOUT_MS API_TIMEOUT_MS DISABLE_TELEMETRY MAX_THINKING_TOKENS FOO BAR_A"
		unwanted = "AWS_SECRET_ACCESS_KEY OTEL_EXPORTER_OTLP_HEADERS IRIS_PROCESS LD_PRELOAD BASH_ENV BAZ " +
			"CLAUDECODE CLAUDE_CODE_ENTRYPOINT CLAUDE_CODE_SSE_PORT CLAUDE_CODE_SESSION_ID CLAUDE_CODE_SESSION_ATTENDED CLAUDE_CODE_CHILD_SESSION " +
			"CLAUDE_CODE_CHILD_NOTES_DIR CLAUDE_CODE_MESSAGING_SOCKET CLAUDE_CODE_MESSAGING_TOKEN CLAUDE_CODE_EXECPATH CLAUDE_PID CLAUDE_EFFORT " +
			"CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR CLAUDE_CODE_SKIP_PROMPT_HISTORY"
	)
	b := built(t, ownBase(all(wanted+" "+unwanted)), config.Settings{PassEnv: []string{"FOO", "BAR_*"}})
	has(t, b, wanted+" IRIS_SOCKET", unwanted)
}

func TestPatternOfPassEnvPassesNothingOfOneProcess(t *testing.T) {
	e := ownBase(all("FOO CLAUDE_CODE_SESSION_ID CLAUDECODE PWD SHLVL CLAUDE_CODE_ENTRYPOINT"))
	b := built(t, e, config.Settings{PassEnv: []string{"*", "CLAUDE_CODE_ENTRYPOINT"}})
	has(t, b, "FOO CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SESSION_ID CLAUDECODE PWD SHLVL")
}

func TestSwitchBringsWhatItNeeds(t *testing.T) {
	const (
		aws    = "AWS_PROFILE AWS_REGION AWS_SECRET_ACCESS_KEY"
		google = "GOOGLE_APPLICATION_CREDENTIALS GOOGLE_CLOUD_PROJECT CLOUD_ML_REGION VERTEX_REGION_CLAUDE_HAIKU_4_5"
		azure  = "AZURE_CLIENT_ID AZURE_CLIENT_SECRET"
		otel   = "OTEL_METRICS_EXPORTER"
	)
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("CLAUDE_CODE_USE_VERTEX=true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name             string
		base             string
		set              config.Settings
		wanted, unwanted string
	}{
		{"none", "", config.Settings{}, "", aws + " " + google + " " + azure + " " + otel},
		{"profile", "CLAUDE_CODE_USE_BEDROCK", config.Settings{}, aws, google + " " + azure},
		{"env table", "", config.Settings{Env: map[string]string{"CLAUDE_CODE_USE_FOUNDRY": "1"}}, azure, aws + " " + google},
		{"env_file", "", config.Settings{EnvFile: file}, google, aws + " " + azure},
		{"off", "CLAUDE_CODE_USE_BEDROCK", config.Settings{Env: map[string]string{"CLAUDE_CODE_USE_BEDROCK": "0"}}, "", aws},
		{"telemetry", "CLAUDE_CODE_ENABLE_TELEMETRY", config.Settings{}, otel, aws},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := built(t, ownBase(all(strings.Join([]string{aws, google, azure, otel, c.base}, " "))), c.set)
			has(t, b, c.wanted, c.unwanted)
		})
	}
}

func TestWithheldCredentialsAreNamed(t *testing.T) {
	b := built(t, ownBase(all("AWS_PROFILE AWS_PAGER GITHUB_TOKEN ANTHROPIC_API_KEY AZURE_CLIENT_ID")), config.Settings{Env: map[string]string{"AZURE_CLIENT_ID": "x"}})
	if want := []string{"AWS_PROFILE"}; !slices.Equal(b.Withheld, want) {
		t.Errorf("got %q, want %q", b.Withheld, want)
	}
}

func TestTeamVariablesStandOverTheFileAndTheBase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("A=file\nB=file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := ownBase(map[string]string{"A": "base", "B": "base", "PATH": "/bin"})
	s := config.Settings{PassEnv: []string{"A", "B"}, EnvFile: file, Env: map[string]string{"B": "team"}}
	vars := built(t, e, s)
	a, _ := value(vars, "A")
	b, _ := value(vars, "B")
	if a != "file" || b != "team" {
		t.Errorf("got A=%s B=%s, want A=file B=team", a, b)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Build(t.Context(), &config.Team{Settings: s}, "/run/s"); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a readable env_file: got %v, want a refusal that names it", err)
	}
}

func TestSearchPathEndsWhereClaudeCodeInstallsItself(t *testing.T) {
	e := ownBase(map[string]string{"HOME": "/h", "PATH": "/bin:/h/.local/bin"})
	for command, want := range map[string]string{
		"claude":                 "/bin:/h/.local/bin:/h/.claude/local",
		"/opt/node/v20/bin/this": "/bin:/h/.local/bin:/opt/node/v20/bin:/h/.claude/local",
	} {
		if got, _ := value(built(t, e, config.Settings{Command: []string{command}}), "PATH"); got != want {
			t.Errorf("%s: got %s, want %s", command, got, want)
		}
	}
	b := built(t, e, config.Settings{Command: []string{"claude"}, Env: map[string]string{"PATH": "/only"}})
	if got, _ := value(b, "PATH"); got != "/only" {
		t.Errorf("got %s, want the team's own", got)
	}
}

func TestSecretsAreMasked(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "env")
	if err := os.WriteFile(file, []byte("FROM_FILE=0123456789abcdefghijklmnop\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	team := &config.Team{Name: "api", Settings: config.Settings{
		PassEnv: []string{"PASSED", "LANG"}, EnvFile: file, Env: map[string]string{"PORT": "8080", "GITHUB_TOKEN": "short", "DB_PASSWORD": ""},
	}}
	b, err := ownBase(map[string]string{
		"ANTHROPIC_API_KEY": "sk-ant-0123456789abcdefghijkl", "ANTHROPIC_BASE_URL": "http://127.0.0.1:1", "LANG": "C", "PASSED": "word",
		"HTTPS_PROXY": "user:word@proxy:3128", "MCP_SERVER": "https://me:word@host/",
	}).Build(t.Context(), team, "/run/s")
	if err != nil {
		t.Fatal(err)
	}
	b.mask(team)
	for name, want := range map[string]string{
		"ANTHROPIC_API_KEY": "****ijkl", "ANTHROPIC_BASE_URL": "http://127.0.0.1:1", "LANG": "C", "PASSED": "****", "FROM_FILE": "****mnop",
		"PORT": "8080", "GITHUB_TOKEN": "****", "DB_PASSWORD": "", "HTTPS_PROXY": "****", "MCP_SERVER": "****", "IRIS_SOCKET": "/run/s",
	} {
		if got, _ := value(b, name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestForegroundDaemonHasItsOwnEnvironment(t *testing.T) {
	t.Setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
	if got := ownEnvironment().Base()["ANTHROPIC_BASE_URL"]; got != "http://127.0.0.1:9" {
		t.Errorf("got %q", got)
	}
}

// supervised returns a Supervisor of one team, for its stamps.
func supervised(e *Environment, team *config.Team) *Supervisor {
	cfg := &config.Config{Teams: map[string]*config.Team{"api": team}}
	return &Supervisor{Env: e, o: Options{Look: func() {}, Config: func() *config.Config { return cfg }}}
}

func TestChangedEnvironmentMakesAgentsStale(t *testing.T) {
	file := filepath.Join(t.TempDir(), "api.env")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("A=1\n")
	e := ownBase(map[string]string{"PATH": "/bin", "UNRELATED": "1", "ANTHROPIC_MODEL": "a"})
	team := &config.Team{Name: "api", Agent: "claude", Settings: config.Settings{Command: []string{"claude"}, EnvFile: file}}
	s := supervised(e, team)
	first, err := e.Build(t.Context(), team, "")
	if err != nil {
		t.Fatal(err)
	}
	then := stamp(team, first)
	want := func(what, why string) {
		t.Helper()
		if got := s.changed("api", then); got != why {
			t.Errorf("%s: got %q, want %q", what, got, why)
		}
	}
	want("nothing", "")
	e.own["UNRELATED"] = "2"
	write("# the same\nA=1\n")
	want("a variable that agents do not get, and a comment", "")
	write("A=2\n")
	want("env_file", "api.env changed")
	os.Remove(file)
	want("no env_file", "api.env changed")
	write("A=1\n")
	e.own["ANTHROPIC_MODEL"] = "b"
	want("a variable of the base", "environment changed")
	then = team.Stamp()
	want("a stamp of an earlier version", "")
	team.Args = []string{"--debug"}
	want("args", "configuration changed")
}

// A daemon that has just replaced its program may get no answer of the login shell.
func TestGuessMakesNoAgentStale(t *testing.T) {
	home := shells(t, "exit 1")
	e, wait := asked(t)
	defer wait()
	team := &config.Team{Name: "api", Agent: "claude", Settings: config.Settings{Command: []string{"claude"}}}
	if got := supervised(e, team).changed("api", team.Stamp()+"."+digest(nil)+".other"); got != "" {
		t.Errorf("got %q", got)
	}
	b, err := e.Build(context.Background(), team, "")
	if err != nil {
		t.Fatal(err)
	}
	then := stamp(team, b)
	shellDoes(t, home, good)
	e.Refresh()
	if got := supervised(e, team).changed("api", then); got != "environment changed" {
		t.Errorf("once the shell answers: got %q", got)
	}
}
