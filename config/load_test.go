package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestLoadWithoutAnyFileGivesTheDefaults(t *testing.T) {
	p := newHome(t)
	cfg, err := Load(p)
	mustDo(t, err)
	want := &Config{
		MaxProcesses: 10, WhenFull: "wait", FairWait: 30 * time.Second, HealthCheckInterval: 30 * time.Second,
		StopGrace: 5 * time.Second, DrainTimeout: 30 * time.Second, OrphanTimeout: 10 * time.Minute, OrphanGrace: 10 * time.Second, Retention: 35 * 24 * time.Hour,
		MaxMemoryTotal: Share{Percent: 75}, MCPMaxDepth: 3, MCPMaxMessages: 100,
		Umask: 0o022, LogLevel: "info", LogMaxSize: 10_000_000, LogMaxFiles: 5,
		Settings: Settings{Command: []string{"claude"}, IdleTimeout: 5 * time.Minute, FreezeAfter: time.Minute, StartTimeout: time.Minute,
			StallTimeout: 10 * time.Minute, OnStall: "report", OnLimit: "wait", OnBudget: "fail", SpareBelow: 0.8, QueueLimit: 1000, OnResumeFailure: "stop", BackgroundWait: true,
			Approvals: "deny", ApprovalTimeout: 10 * time.Minute, NotifyOn: []string{"approval", "failed", "unknown"}, Inbound: "refuse"},
		paths: p,
	}
	want.Teams = map[string]*Team{"echo": {Name: "echo", Agent: "echo", Dir: p.Home,
		Description: "built in: repeats each message", Settings: want.Settings}}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got  %+v\nwant %+v", cfg, want)
	}
}

func TestLoadReadsEveryKey(t *testing.T) {
	cfg := mustLoad(t, "\ufeff"+strings.ReplaceAll(`
max_memory_total = "8GiB"
max_processes = 3
when_full = "evict"
fair_wait = "0"
health_check_interval = "1s"
stop_grace = "1m30s"
drain_timeout = 0
orphan_timeout = "1h"
orphan_grace = "1m"
leave_turns = true
mcp_max_depth = 0
mcp_max_messages = 9
retention = "2d"
umask = "077"
log_level = "debug"
log_max_size = "1.5MB"
log_max_files = 7
command = "~/bin/claude"
args = ["--model", "a b"]
env = { A = "1", B = "two" }
pass_env = ["SSH_AUTH_SOCK", "AWS_*"]
env_file = "$HOME/secrets"
idle_timeout = "0"
freeze_after = "0"
start_timeout = "90s"
stall_timeout = 0
on_stall = "interrupt"
on_limit = "fail"
on_budget = "wait"
budget = { day = 20, month = 300.5 }
spare_below = 0.7
queue_limit = 1
max_turns = 12
max_messages_per_agent = 13
max_memory = "2GiB"
denied_ok = true
on_resume_failure = "fresh"
inbound = "accept"
approvals = "ask"
approval_timeout = 0
notify = ["~/bin/notify", "~"]
notify_on = ["done", "limited"]

[teams."api.v2"]
dir = "/srv//api/../api"
description = "the \"API\""
agent = "echo"
command = "other"
args = []
pass_env = []
env_file = ""
idle_timeout = "1h"
freeze_after = "2m"
start_timeout = "1s"
stall_timeout = "1m"
on_stall = "report"
on_limit = "wait"
on_budget = "fail"
budget.day = 1_0.25
spare_below = 1
account = "shared"
spare = true
mcp = true
mcp_teams = []
mcp_allow = ["reset_session"]
queue_limit = 2
max_turns = 0
max_messages_per_agent = 0
max_memory = 0
denied_ok = false
on_resume_failure = "stop"
inbound = "refuse"
approvals = "deny"
approval_timeout = "1m"
notify = []
notify_on = []
[teams."api.v2".env]
B = "three"
C = "x\ny"

[teams.web]
dir = "~"
`, "\n", "\r\n"))
	want := Settings{
		Command: []string{cfg.paths.Home + "/bin/claude"}, Args: []string{"--model", "a b"}, Env: map[string]string{"A": "1", "B": "two"},
		PassEnv: []string{"SSH_AUTH_SOCK", "AWS_*"}, EnvFile: cfg.paths.Home + "/secrets",
		StartTimeout: 90 * time.Second, OnStall: "interrupt", OnLimit: "fail", OnBudget: "wait", SpareBelow: 0.7, QueueLimit: 1, MaxTurns: 12, MaxMessagesPerAgent: 13, MaxMemory: 2 << 30, DeniedOK: true, BackgroundWait: true,
		OnResumeFailure: "fresh", Inbound: "accept", Approvals: "ask", Notify: []string{cfg.paths.Home + "/bin/notify", "~"}, NotifyOn: []string{"done", "limited"},
	}
	if !reflect.DeepEqual(cfg.Settings, want) {
		t.Errorf("top level\n got %+v\nwant %+v", cfg.Settings, want)
	}
	got := *cfg
	got.Settings, got.Teams, got.Files, got.paths, got.origin = Settings{}, nil, nil, Paths{}, nil
	if top := (Config{MaxProcesses: 3, WhenFull: "evict", HealthCheckInterval: time.Second, StopGrace: 90 * time.Second,
		LeaveTurns: true, OrphanTimeout: time.Hour, OrphanGrace: time.Minute, Retention: 48 * time.Hour, MaxMemoryTotal: Share{Bytes: 8 << 30}, Budget: Budget{20, 300.5}, MCPMaxMessages: 9, Umask: 0o077, LogLevel: "debug", LogMaxSize: 1_500_000, LogMaxFiles: 7}); !reflect.DeepEqual(got, top) {
		t.Errorf("top level\n got %+v\nwant %+v", got, top)
	}
	api := *cfg.Teams["api.v2"]
	api.origin = nil
	if want := (Team{Name: "api.v2", Dir: "/srv/api", Description: `the "API"`, Agent: "echo", Account: "shared", Spare: true, Budget: Budget{Day: 10.25}, File: cfg.paths.Config, Line: 45,
		MCP: true, MCPTeams: []string{}, MCPAllow: []string{"reset_session"},
		Settings: Settings{Command: []string{"other"}, Args: []string{}, Env: map[string]string{"A": "1", "B": "three", "C": "x\ny"},
			PassEnv: []string{}, IdleTimeout: time.Hour, FreezeAfter: 2 * time.Minute, StartTimeout: time.Second, StallTimeout: time.Minute,
			OnStall: "report", OnLimit: "wait", OnBudget: "fail", SpareBelow: 1, QueueLimit: 2, OnResumeFailure: "stop", BackgroundWait: true, Inbound: "refuse",
			Approvals: "deny", ApprovalTimeout: time.Minute, Notify: []string{}, NotifyOn: []string{}}}); !reflect.DeepEqual(api, want) {
		t.Errorf("team api.v2\n got %+v\nwant %+v", api, want)
	}
	web := cfg.Teams["web"]
	if !reflect.DeepEqual(web.Settings, want) || web.Dir != cfg.paths.Home || web.Agent != "claude" {
		t.Errorf("team web: got %+v, want the top-level settings", web)
	}
	if cfg.Env["B"] != "two" || len(cfg.Env) != 2 {
		t.Errorf("a team's env changed the top-level one: %v", cfg.Env)
	}
}

// The original could not tell an explicit 0 from nothing (defect D18).
func TestZeroIsNotUnset(t *testing.T) {
	cfg := mustLoad(t, "idle_timeout = \"1m\"\nmax_turns = 5\n[teams.a]\ndir = \"/a\"\nidle_timeout = 0\nmax_turns = 0\n[teams.b]\ndir = \"/b\"\n")
	if a := cfg.Teams["a"]; a.IdleTimeout != 0 || a.MaxTurns != 0 {
		t.Errorf("explicit zero: got %v and %d, want 0 and 0", a.IdleTimeout, a.MaxTurns)
	}
	if b := cfg.Teams["b"]; b.IdleTimeout != time.Minute || b.MaxTurns != 5 {
		t.Errorf("unset: got %v and %d, want 1m and 5", b.IdleTimeout, b.MaxTurns)
	}
}

func TestTheEchoTeamMayBeReplaced(t *testing.T) {
	cfg := mustLoad(t, "[teams.echo]\ndir = \"/srv\"\n")
	if e := cfg.Teams["echo"]; e.Agent != "claude" || e.Dir != "/srv" || e.Line != 1 {
		t.Errorf("got %+v, want the configured team", e)
	}
}

func TestEnvironmentStandsOverTheFileAndFlagsOverBoth(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Config, "max_processes = 1\nidle_timeout = \"1s\"\nwhen_full = \"fail\"\ndenied_ok = true\nbackground_wait = false\n[teams.a]\ndir = \"/a\"\nbackground_wait = true\nidle_timeout = \"2s\"\n[teams.b]\ndir = \"/b\"\n")
	t.Setenv("IRIS_MAX_PROCESSES", "2")
	t.Setenv("IRIS_IDLE_TIMEOUT", "0")
	t.Setenv("IRIS_DENIED_OK", "false")
	t.Setenv("IRIS_WHEN_FULL", "") // unset
	t.Setenv("IRIS_UMASK", "027")
	t.Setenv("IRIS_MAX_MEMORY", "1GB")
	t.Setenv("IRIS_ARGS", "no such variable")
	cfg, err := Load(p, Override{"max_processes", "3", "--max-processes"})
	mustDo(t, err)
	if cfg.MaxProcesses != 3 || cfg.IdleTimeout != 0 || cfg.DeniedOK || cfg.WhenFull != "fail" || cfg.Umask != 0o027 || cfg.MaxMemory != 1e9 || cfg.Args != nil {
		t.Errorf("got %+v", cfg)
	}
	if a, b := cfg.Teams["a"], cfg.Teams["b"]; a.IdleTimeout != 2*time.Second || b.IdleTimeout != 0 || b.DeniedOK || !a.BackgroundWait || b.BackgroundWait {
		t.Errorf("teams: got idle timeouts %v and %v, want 2s (its own) and 0; background_wait %v and %v", a.IdleTimeout, b.IdleTimeout, a.BackgroundWait, b.BackgroundWait)
	}
}

func TestMistakesInTheEnvironmentNameTheirSource(t *testing.T) {
	p := newHome(t)
	t.Setenv("IRIS_MAX_PROCESSES", "0")
	t.Setenv("IRIS_HEALTH_CHECK_INTERVAL", "300")
	t.Setenv("IRIS_DENIED_OK", "yes")
	t.Setenv("IRIS_UMASK", "\x1b[31m")
	t.Setenv("IRIS_IDLE_TIMEOUT", "-1s")
	t.Setenv("IRIS_COMMAND", "./claude")
	_, err := Load(p, Override{"when_full", "drop", "--when-full"})
	wantErr(t, p.Home, err, `IRIS_MAX_PROCESSES=0: must be a whole number, 1 to 1000
IRIS_HEALTH_CHECK_INTERVAL=300: has no unit; write "300s" for seconds
IRIS_UMASK="\x1b[31m": holds "\x1b", which is not allowed here
IRIS_COMMAND=./claude: is relative; write an absolute path, such as "~/claude" or "~/claude"
IRIS_IDLE_TIMEOUT=-1s: must not be negative
IRIS_DENIED_OK=yes: must be true or false, without quotes
--when-full=drop: must be "wait", "fail" or "evict"`)
}

func TestProblems(t *testing.T) {
	const c = "~/.config/iris/config.toml:"
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "max_proceses = 3", c + `1:1: unknown key "max_proceses"; did you mean "max_processes"?`},
		{"swapped letters", "\n  \"when_fulll\" = 1", c + `2:3: unknown key "when_fulll"; did you mean "when_full"?`},
		{"singular", "[team.a]\ndir='/'", c + `1:2: unknown key "team"; did you mean "teams"?`},
		{"no idea", "colour = 'red'", c + `1:1: unknown key "colour"; iris-config(5) lists all keys`},
		{"the name of before", "approval_notify = ['x']", c + `1:1: "approval_notify" is now "notify": write notify in its place, with notify_on = ["approval"] beside it; the program gets an event on its standard input (iris-config(5))`},
		{"of a team", "[teams.a]\ndir='/'\napproval_notify = ['x']", c + `3:1: "approval_notify" in team "a" is now "notify": write notify in its place, with notify_on = ["approval"] beside it; the program gets an event on its standard input (iris-config(5))`},
		{"word of a list", "notify_on = ['approval', 'bill']", c + `1:26: notify_on[1] = 'bill': must be "approval", "failed", "unknown", "limited", "budget" or "done"`},
		{"no budget", "budget = 20", c + `1:10: budget = 20: must be a table of dollars, such as { day = 20, month = 300 }`},
		{"period of a budget", "[budget]\nweek = 20", c + `2:1: budget: unknown key "week"; it has day and month`},
		{"negative budget", "[budget]\nday = -1", c + `2:7: budget.day = -1: must be dollars from 0.0001 to 1000000, such as 2.50, or 0 for no limit`},
		{"budget without an end", "budget.month = inf", c + `1:16: budget.month = inf: must be dollars from 0.0001 to 1000000, such as 2.50, or 0 for no limit`},
		{"budget in quotes", "budget.day = '20'", c + `1:14: budget.day = '20': must be dollars from 0.0001 to 1000000, such as 2.50, or 0 for no limit`},
		{"no list of words", "notify_on = 'approval'", c + `1:13: notify_on = 'approval': must be a list of strings, such as ["a", "b"]`},
		{"unknown in team", "[teams.a]\ndir='/'\nidel_timeout='1s'", c + `3:1: unknown key "idel_timeout" in team "a"; did you mean "idle_timeout"?`},
		{"top-level key in team", "[teams.a]\ndir='/'\nmax_processes = 3", c + `3:1: "max_processes" is no setting of a team; it belongs at the top of config.toml, before the first [table]`},
		{"team key at top", "dir = '/'", c + `1:1: "dir" belongs in a [teams.NAME] table`},
		{"unquoted dot", "[teams.api]\ndir='/'\n[teams.api.v2]\ndir='/b'", c + `3:2: unknown key "v2" in team "api"; a team named "api.v2" is written [teams."api.v2"]`},

		{"zero", "max_processes = 0", c + `1:17: max_processes = 0: must be a whole number, 1 to 1000`},
		{"negative", "max_processes = -1", c + `1:17: max_processes = -1: must be a whole number, 1 to 1000`},
		{"too many", "max_processes = 1001", c + `1:17: max_processes = 1001: must be a whole number, 1 to 1000`},
		{"string for number", "max_processes = '3'", c + `1:17: max_processes = '3': must be a whole number, 1 to 1000`},
		{"fraction", "max_processes = 3.5", c + `1:17: max_processes = 3.5: must be a whole number, 1 to 1000`},
		{"zero allowed", "max_turns = -1", c + `1:13: max_turns = -1: must be a whole number, 1 to 1000000, or 0 for no limit`},
		{"bool for number", "max_turns = true", c + `1:13: max_turns = true: must be a whole number, 1 to 1000000, or 0 for no limit`},
		{"no bool", "denied_ok = 'true'", c + `1:13: denied_ok = 'true': must be true or false, without quotes`},
		{"not one of", "when_full = 'Wait'", c + `1:13: when_full = 'Wait': must be "wait", "fail" or "evict"`},
		{"two words", "on_stall = ''", c + `1:12: on_stall = '': must be "report" or "interrupt"`},
		{"number for word", "log_level = 3", c + `1:13: log_level = 3: must be a string, in quotes`},
		{"list for word", "log_level = ['info']", c + `1:1: log_level: must be a string, in quotes`},
		{"date", "log_level = 2020-01-01", c + `1:13: log_level = 2020-01-01: must be a string, in quotes`},

		{"seconds", "idle_timeout = 300", c + `1:16: idle_timeout = 300: has no unit; write "300s" for seconds, or "0" for never`},
		{"seconds as string", "idle_timeout = '300'", c + `1:16: idle_timeout = '300': must be a duration such as "30s", "1h30m" or "7d", or "0" for never`},
		{"negative duration", "idle_timeout = '-5m'", c + `1:16: idle_timeout = '-5m': must not be negative`},
		{"negative seconds", "idle_timeout = -5", c + `1:16: idle_timeout = -5: has no unit; write "1s" for seconds, or "0" for never`},
		{"half a day", "idle_timeout = '0.5d'", c + `1:16: idle_timeout = '0.5d': must be a duration such as "30s", "1h30m" or "7d", or "0" for never`},
		{"float duration", "idle_timeout = 1.5", c + `1:16: idle_timeout = 1.5: must be a duration such as "30s", "1h30m" or "7d", or "0" for never`},
		{"zero interval", "health_check_interval = 0", c + `1:25: health_check_interval = 0: must be at least 1s`},
		{"short interval", "health_check_interval = '999ms'", c + `1:25: health_check_interval = '999ms': must be at least 1s`},
		{"long interval", "health_check_interval = '8761h'", c + `1:25: health_check_interval = '8761h': must be at most 8760h`},
		{"zero grace", "stop_grace = '0'", c + `1:14: stop_grace = '0': must be at least 10ms`},

		{"size without unit", "max_memory = 800", c + `1:14: max_memory = 800: must be a size such as "800MB" or "2GiB", or "0" for no limit`},
		{"size with a bad unit", "max_memory = '2gigs'", c + `1:14: max_memory = '2gigs': must be a size such as "800MB" or "2GiB", or "0" for no limit`},
		{"size of two points", "max_memory = '1.2.3GB'", c + `1:14: max_memory = '1.2.3GB': must be a size such as "800MB" or "2GiB", or "0" for no limit`},
		{"share above all", "max_memory_total = '101%'", c + `1:20: max_memory_total = '101%': must be a whole percentage from "1%" to "100%", or "0" for no limit`},
		{"share with a fraction", "max_memory_total = '7.5%'", c + `1:20: max_memory_total = '7.5%': must be a whole percentage from "1%" to "100%", or "0" for no limit`},
		{"share of nothing", "max_memory_total = '0%'", c + `1:20: max_memory_total = '0%': must be a whole percentage from "1%" to "100%", or "0" for no limit`},
		{"share that is a number", "max_memory_total = 60", c + `1:20: max_memory_total = 60: must be a size such as "8GiB", a percentage such as "60%", or "0" for no limit`},
		{"small total", "max_memory_total = '9KB'", c + `1:20: max_memory_total = '9KB': must be at least 1MB, or "0" for no limit`},
		{"total of a team", "[teams.a]\ndir = '/a'\nmax_memory_total = '1GB'", c + `3:1: "max_memory_total" is no setting of a team; it belongs at the top of config.toml, before the first [table]`},
		{"small size", "max_memory = '1KB'", c + `1:14: max_memory = '1KB': must be at least 1MB, or "0" for no limit`},
		{"large size", "log_max_size = '9999999TiB'", c + `1:16: log_max_size = '9999999TiB': must be at most 1GB`},
		{"umask", "umask = '888'", c + `1:9: umask = '888': must be an octal number from "0" to "777", such as "022"`},
		{"umask as number", "umask = 0o22", c + `1:9: umask = 0o22: must be a string, in quotes`},
		{"large umask", "umask = '1777'", c + `1:9: umask = '1777': must be an octal number from "0" to "777", such as "022"`},

		{"no dir", "[teams.a]\nargs=[]", c + `1:2: team "a" has no directory; write dir = "~/src/a"`},
		{"empty dir", "[teams.a]\ndir=''", c + `2:5: dir = '': must not be empty`},
		{"relative dir", "[teams.a]\ndir='src/a'", c + `2:5: dir = 'src/a': is relative; write an absolute path, such as "~/src/a" or "~/src/a"`},
		{"other home", "[teams.a]\ndir='~bob/a'", c + `2:5: dir = '~bob/a': another user's home directory is not looked up; write the absolute path`},
		{"other variable", "[teams.a]\ndir='$HOMER/a'", c + `2:5: dir = '$HOMER/a': only $HOME is replaced; write the absolute path`},
		{"bell in dir", "[teams.a]\ndir=\"/a\\u0007\"", c + `2:5: dir = "/a\u0007": holds "\a", which is not allowed here`},
		{"bidi in dir", "[teams.a]\ndir=\"/a\u202eb\"", c + `2:5: dir = "\"/a\u202eb\"": holds "\u202e", which is not allowed here`},
		{"NUL in dir", "[teams.a]\ndir=\"/a\\u0000\"", c + `2:5: dir = "/a\u0000": holds "\x00", which is not allowed here`},
		{"relative command", "command = 'bin/claude'", c + `1:11: command = 'bin/claude': is relative; write an absolute path, such as "~/bin/claude" or "~/bin/claude"`},
		{"empty command", "command = ''", c + `1:11: command = '': must not be empty`},
		{"long value", "log_level = '" + strings.Repeat("x", 200) + "'", c + `1:13: log_level = '` + strings.Repeat("x", 59) + `...: must be "debug", "info", "warn" or "error"`},

		{"args no list", "args = '-x'", c + `1:8: args = '-x': must be a list of strings, such as ["a", "b"]`},
		{"args with a session", "args = ['--model', 'opus', '--resume=x']\n[teams.a]\ndir='/'\nargs = ['-c']", c + "1:28: args[2] = '--resume=x': no agent can have --resume: iris itself says which conversation an agent has: name one by TEAM@SESSION\n" +
			c + `4:9: args[0] = '-c': no agent can have -c: iris itself says which conversation an agent has: name one by TEAM@SESSION`},
		{"args with a format", "args = ['--output-format', 'json']", c + `1:9: args[0] = '--output-format': no agent can have --output-format: iris sets the format between itself and an agent; "iris send --output" chooses what is printed`},
		{"args in one", "args = ['-pc', '-dh']", c + `1:9: args[0] = '-pc': no agent can have -c: iris itself says which conversation an agent has: name one by TEAM@SESSION`},
		{"args that end", "args = ['--model=x', '--']", c + `1:22: args[1] = '--': no agent can have --: what comes after it, such as a flag of iris, would be taken for a message; leave it out`},
		{"args with a message", "args = ['mcp']", c + `1:9: args[0] = 'mcp': the first argument must be a flag: a message or command of Claude Code is none; "iris send" takes messages`},
		{"args with asking elsewhere", "approvals = 'ask'\nargs = ['--permission-prompt-tool', 'mcp__x__y']\n[teams.a]\ndir='/'\n[teams.b]\ndir='/'\nargs=[]", c + `2:1: args: --permission-prompt-tool: team "a" has approvals = "ask", so that iris is asked; leave out one of the two`},
		{"args element", "args = [\n'-a',\n 3,\n true]", c + "3:2: args[1] = 3: must be a string, in quotes\n" + c + `4:2: args[2] = true: must be a string, in quotes`},
		{"NUL in args", `args = ["\u0000"]`, c + `1:9: args[0] = "\u0000": holds a NUL byte`},
		{"pass_env name", "pass_env = ['A=b', '*', 'A_*']", c + "1:13: pass_env[0] = 'A=b': the name of a variable has only letters, digits and \"_\" and does not begin with a digit\n" +
			c + `1:20: pass_env[1] = '*': the name of a variable has only letters, digits and "_" and does not begin with a digit`},
		{"env no table", "env = 'A=b'", c + `1:7: env = 'A=b': must be a table of strings, such as { NAME = "value" }`},
		{"env value", "env = { TOKEN = 12345 }", c + `1:17: env: TOKEN: must be a string, in quotes`},
		{"env name", "env = { 'a b' = 'x', IRIS_PROCESS = '1' }", c + "1:9: env: name \"a b\": the name of a variable has only letters, digits and \"_\" and does not begin with a digit\n" +
			c + `1:22: env: name "IRIS_PROCESS": is set by iris itself`},

		{"team name", "[teams.'../x']\ndir='/'", c + `1:2: team name "../x": "." is not allowed at the beginning: a name is 1 to 63 letters, digits, ".", "_" or "-" and begins with a letter, a digit or "_"`},
		{"bidi team name", "[teams.\"a\\u202eb\"]\ndir='/'", c + `1:2: team name "a\u202eb": "\u202e" is not allowed in it: a name is 1 to 63 letters, digits, ".", "_" or "-" and begins with a letter, a digit or "_"`},
		{"team is no table", "teams.a = 3", c + `1:7: team "a" must be a table: write [teams.a]`},
		{"teams is no table", "teams = 3", c + `1:1: "teams" must be a table: write [teams.NAME]`},
		{"list of teams", "[[teams]]\nname = 'a'", c + `1:3: "teams" must be a table: write [teams.NAME]`},
		{"team twice", "[teams.a]\ndir='/'\n[teams.b]\ndir='/'\n[teams.a]\ndir='/x'", c + `5:2: team "a" is already defined at ` + c + `1:2` + "\n" + c + `6:1: key "dir" is already defined at ` + c + `2:1`},
		{"key twice", "umask='022'\numask='02'", c + `2:1: key "umask" is already defined at ` + c + `1:1`},
		{"key twice inline", "env = { A = '1', A = '2' }", c + `1:18: key "A" is already defined at ` + c + `1:9`},
		{"table twice", "[teams.a]\ndir='/'\n[teams.a.env]\n[teams.a.env]", c + `4:2: table "teams.a.env" is already defined at ` + c + `3:2`},
		{"both ways", "teams.a.dir = '/'\n[teams.a]\n", c + `2:2: table a already exists as defined by a dotted key`},

		{"syntax", "max_processes = 3\nidle_timeout == 2\n", c + `2:15: unexpected character U+003D '=' at start of value`},
		{"half a line", "[teams.a]\ndir = \"/tm", c + `2:10: unterminated basic string`},
		{"number too large", "max_turns = 99999999999999999999", c + `1:13: max_turns = 99999999999999999999: must be a whole number, 1 to 1000000, or 0 for no limit`},
		{"not UTF-8", "command = 'a\xff'", c + `1:13: invalid UTF-8 character in literal string`},
		{"UTF-16", "\xff\xfea\x00", c + `1:1: invalid character at start of key: U+00FF 'ÿ'`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newHome(t)
			mustWrite(t, p.Config, tt.text)
			cfg, err := Load(p)
			wantErr(t, p.Home, err, tt.want)
			if cfg != nil && err != nil {
				t.Error("a configuration in spite of the error")
			}
		})
	}
}

func TestAllProblemsOfAllFilesAreReported(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Config, "umask = '9'\nargs = 3\n[teams.a]\ndir = 'x'\n[teams.b]\ndir = '/b'\n")
	mustWrite(t, filepath.Join(p.Confd, "10.toml"), "max_processes = 3\n[teams.b]\ndir = '/b'\n")
	mustWrite(t, filepath.Join(p.Confd, "20.toml"), "=\n")
	mustWrite(t, filepath.Join(p.Confd, "30.toml"), "[teams.c]\nmax_memory = 99999999999999999999\n")
	mustWrite(t, filepath.Join(p.Confd, ".40.toml"), "not read")
	mustWrite(t, filepath.Join(p.Confd, "50.toml~"), "not read")
	mustMkdir(t, filepath.Join(p.Confd, "60.toml"))
	mustDo(t, os.Symlink("nowhere", filepath.Join(p.Confd, "70.toml")))
	t.Setenv("IRIS_LOG_LEVEL", "loud")
	_, err := Load(p)
	wantErr(t, p.Home, err, `~/.config/iris/config.toml:1:9: umask = '9': must be an octal number from "0" to "777", such as "022"
~/.config/iris/config.toml:2:8: args = 3: must be a list of strings, such as ["a", "b"]
~/.config/iris/config.toml:4:7: dir = 'x': is relative; write an absolute path, such as "~/x" or "~/x"
~/.config/iris/conf.d/10.toml:1:1: "max_processes" belongs in config.toml; a file in conf.d holds [teams.NAME] tables only
~/.config/iris/conf.d/10.toml:2:2: team "b" is already defined at ~/.config/iris/config.toml:5:2; all of it must be in one file
~/.config/iris/conf.d/20.toml:1:1: invalid character at start of key: U+003D '='
~/.config/iris/conf.d/30.toml:1:2: team "c" has no directory; write dir = "~/src/c"
~/.config/iris/conf.d/30.toml:2:14: max_memory = 99999999999999999999: must be a size such as "800MB" or "2GiB", or "0" for no limit
~/.config/iris/conf.d/60.toml: not a regular file
~/.config/iris/conf.d/70.toml: no such file or directory
IRIS_LOG_LEVEL=loud: must be "debug", "info", "warn" or "error"`)
}

func TestATeamInTwoFilesIsOneMistake(t *testing.T) {
	p := newHome(t)
	mustWrite(t, p.Config, "[teams.a]\numask = '022'\n[teams.b]\nenv_file = '/x'\n")
	mustWrite(t, filepath.Join(p.Confd, "b.toml"), "[teams.b]\ndir = '/b'\n")
	_, err := Load(p)
	wantErr(t, p.Home, err, `~/.config/iris/config.toml:1:2: team "a" has no directory; write dir = "~/src/a"
~/.config/iris/config.toml:2:1: "umask" is no setting of a team; it belongs at the top of config.toml, before the first [table]
~/.config/iris/conf.d/b.toml:1:2: team "b" is already defined at ~/.config/iris/config.toml:3:2; all of it must be in one file`)
}

func TestDropInsAddTeams(t *testing.T) {
	p := newHome(t)
	mustWrite(t, filepath.Join(p.Confd, "b.toml"), "[teams.b]\ndir = '/b'\n[teams.c]\ndir = '/c'\n")
	mustWrite(t, filepath.Join(p.Confd, "a.toml"), "[teams.a]\ndir = '/a'\n")
	cfg, err := Load(p)
	mustDo(t, err)
	if got, want := strings.Join(cfg.TeamNames(), " "), "a b c echo"; got != want {
		t.Errorf("teams: got %s, want %s", got, want)
	}
	if got, want := cfg.Files, []string{p.Confd + "/a.toml", p.Confd + "/b.toml"}; !reflect.DeepEqual(got, want) {
		t.Errorf("files: got %v, want %v", got, want)
	}
}

// A key without a value is the commonest half-done edit.
func TestAKeyWithoutAValueIsNamed(t *testing.T) {
	const rule = ` has no value; write one after the "=", or put a # before the line`
	for text, want := range map[string]string{
		"max_processes =\n":                              ":1:16: max_processes" + rule,
		"max_processes = # later\n":                      ":1:17: max_processes" + rule,
		"umask = \"022\"\n[teams.a]\n  dir =\nargs = []": ":3:8: dir" + rule,
		"max_processes =":                                ":1:15: max_processes" + rule,
		"max_processes = ten\n":                          "",
	} {
		p := newHome(t)
		mustWrite(t, p.Config, text)
		_, err := Load(p)
		if err == nil || want == "" && strings.Contains(err.Error(), rule) || want != "" && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: got %v, want ...%s", text, err, want)
		}
	}
}
