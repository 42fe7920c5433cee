package claude

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

// put writes a file, with the directories above it.
func put(t testing.TB, text string, path ...string) (file string) {
	t.Helper()
	file = filepath.Join(path...)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	return file
}

// A change of anything that Claude Code reads at its start replaces the agent.
func TestStaleBySources(t *testing.T) {
	top := realDir(t)
	dir, home := filepath.Join(top, "group", "project"), filepath.Join(top, "home")
	put(t, "see @docs/rules.md and @~/own.md", dir, "CLAUDE.md")
	put(t, "and @more.md", dir, "docs", "rules.md")
	extra := put(t, "{}", top, "extra.json")
	sources := Sources(dir, []string{"HOME=" + home}, []string{"--settings", extra, "--agents=" + filepath.Join(top, "agents.json")})
	for _, c := range []struct{ path, want string }{
		{dir + "/CLAUDE.md", "CLAUDE.md changed"},
		{dir + "/CLAUDE.local.md", "CLAUDE.local.md changed"},
		{top + "/.claude/CLAUDE.md", "CLAUDE.md changed"},
		{home + "/.claude/CLAUDE.md", "CLAUDE.md changed"},
		{dir + "/docs/rules.md", "rules.md changed"},
		{dir + "/docs/more.md", "more.md changed"},
		{home + "/own.md", "own.md changed"},
		{top + "/group/.claude/rules/go/style.md", "rules changed"},
		{dir + "/.claude/output-styles/terse.md", "output-styles changed"},
		{dir + "/.claude/settings.local.json", "settings.local.json changed"},
		{home + "/.claude/settings.json", "settings.json changed"},
		{top + "/.mcp.json", ".mcp.json changed"},
		{extra, "extra.json changed"},
		{dir + "/.claude/commands/deploy.md", ""},
		{top + "/.claude/skills/deploy/SKILL.md", ""},
		{home + "/.claude/agents/reviewer.md", ""},
		{dir + "/src/main.go", ""},
		{top + "/.claude/settings.json", ""}, // of another project
	} {
		w := watch(&Options{Watch: sources}, "")
		put(t, `{"model": "opus"}`, c.path)
		if got := w.stale(nil); got != c.want {
			t.Errorf("%s: got %q, want %q", strings.TrimPrefix(c.path, top), got, c.want)
		}
	}
}

// Settings that the arguments leave out are not looked at.
func TestSourcesLeaveOut(t *testing.T) {
	dir := realDir(t)
	project := put(t, "{", dir, ".claude", "settings.json")
	mcp := put(t, "{", dir, ".mcp.json")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, project},
		{[]string{"--setting-sources=user"}, mcp},
		{[]string{"--setting-sources", "user,project", "--strict-mcp-config"}, project},
		{[]string{"--restricted", "--strict-mcp-config"}, ""},
		{[]string{"--setting-sources", "", "--strict-mcp-config"}, ""},
	} {
		var got string
		if bad, ok := errors.AsType[*UnparsedError](Unparsed(Sources(dir, []string{"HOME=" + t.TempDir()}, c.args))); ok {
			got = bad.Path
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.args, got, c.want)
		}
	}
}

// An agent that cannot read them again does not get the message; another one does.
func TestReloadRefused(t *testing.T) {
	r := fakeRig(t, "--fake-no-reload")
	r.o.Watch = Sources(r.o.Dir, r.o.Env, nil)
	p := r.start()
	put(t, "an agent", r.o.Dir, ".claude", "agents", "x.md")
	if _, err := p.Send(context.Background(), &Message{Text: "echo:x"}); !errors.Is(err, pool.ErrNotDispatched) {
		t.Errorf("got %v", err)
	}
}

// A directory is looked at up to a limit.
func TestTreeIsBounded(t *testing.T) {
	dir := t.TempDir()
	before := treeAt(dir)
	put(t, "", dir, "1", "2", "3", "4", "rule.md")
	deep := treeAt(dir)
	put(t, "", dir, "1", "2", "3", "4", "5", "rule.md")
	if before == deep || treeAt(dir) != deep {
		t.Errorf("got %x, then %x, then %x", before, deep, treeAt(dir))
	}
	if err := errors.Join(os.Symlink(dir, filepath.Join(dir, "1", "2", "again")), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600), os.Symlink("pipe", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	treeAt(dir) // must end: a circle of links, and a pipe that nobody writes to
}

// The rules for JSON are those of Claude Code: see TestRealSettingsThatParse.
var settingsTexts = []struct {
	name, text, want string
}{
	{"good", `{"permissions":{"deny":["Bash(echo *)"]}}`, ""},
	{"byte order mark", "\ufeff" + `{"permissions":{"deny":["Bash(echo *)"]}}`, ""},
	{"same name twice", `{"model":"a","model":"b"}`, ""},
	{"empty", "", ""},
	{"blank", " \n", ""},
	{"half", "{\"permissions\": {\n  \"de", ":2:5 does not parse: unexpected end of JSON input"},
	{"comment", "// x\n{}", ":1:1 does not parse: invalid character '/' looking for beginning of value"},
	{"trailing comma", "{\"a\": 1,\n}", ":2:1 does not parse: invalid character '}' looking for beginning of object key string"},
	{"two", "{}{}", ":1:3 does not parse: invalid character '{' after top-level value"},
	{"list", "[]", ":1:1 does not parse: it is not a JSON object"},
	{"null", "null", ":1:1 does not parse: it is not a JSON object"},
}

func TestUnparsed(t *testing.T) {
	for _, c := range settingsTexts {
		file := put(t, c.text, t.TempDir(), "settings.json")
		got := ""
		if err := unparsed(file); err != nil {
			got = strings.TrimPrefix(err.Error(), file)
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// A file that is being saved is waited for; then the start fails, and says where.
func TestStartWaitsForSettings(t *testing.T) {
	file := put(t, `{"a":`, t.TempDir(), "settings.json")
	for _, c := range []struct{ name, first, then, want string }{
		{"saved in time", `{"a":`, `{"a": 1}`, ""},
		{"never saved", `{"a":`, `{"a":`, "does not parse"},
		{"empty at first", "", `{"a": 1}`, ""},
		{"left empty", "", "", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			put(t, c.first, file)
			os.Chtimes(file, time.Now(), time.Now())
			begun := time.Now()
			time.AfterFunc(saveWait/2, func() { put(t, c.then, file) })
			err := awaitParsed(t.Context(), []Source{{file, Settings}})
			if got := time.Since(begun); got < saveWait/2 || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v after %v", c.name, err, got)
			}
		})
	}
}

func TestStartFailsWithSettingsThatAreRefused(t *testing.T) {
	r := fakeRig(t, "--fake-refused=/etc/x.json")
	r.o.Watch = Sources(r.o.Dir, r.o.Env, nil)
	startIsRefused(t, r, "/etc/x.json: permissions.deny: Expected array, but received string")
}

// startIsRefused checks that no agent starts with these settings, for that reason.
func startIsRefused(t *testing.T, r *rig, why string) {
	t.Helper()
	_, err := Start(context.Background(), r.o)
	if start, ok := errors.AsType[*pool.StartError](err); !ok || !start.Permanent || !strings.Contains(err.Error(), why) {
		t.Errorf("got %v, want a refusal with %q", err, why)
	}
	if left, _ := os.ReadDir(r.o.Spools); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestStartFailsWithSettingsThatDoNotParse(t *testing.T) {
	r := fakeRig(t)
	file := put(t, "{\n  \"permissions\"\n}", r.o.Dir, ".claude", "settings.json")
	r.o.Watch = Sources(r.o.Dir, r.o.Env, nil)
	_, err := Start(context.Background(), r.o)
	start, ok := errors.AsType[*pool.StartError](err)
	if !ok || !start.Permanent || !strings.Contains(err.Error(), file+":3:1 does not parse: ") {
		t.Errorf("got %v", err)
	}
}

// A running agent reads its settings again by itself, and then has no rules; the files
// that it does not read again it goes on with.
func TestUnparsedOfARunningAgent(t *testing.T) {
	r := fakeRig(t)
	mcp := put(t, "{}", r.o.Dir, ".mcp.json")
	r.o.Watch = Sources(r.o.Dir, r.o.Env, nil)
	p := r.start()
	put(t, `{"mcpServers":`, mcp)
	if why, err := p.Stale(), p.Unparsed(); why != "" || err == nil || !strings.HasPrefix(err.Error(), mcp+":1:") {
		t.Errorf("got %q, %v", why, err)
	}
	put(t, "{", r.o.Dir, ".claude", "settings.json")
	if why := p.Stale(); why != "settings.json does not parse" {
		t.Errorf("got %q", why)
	}
	put(t, `{"mcpServers":{}}`, mcp)
	if why := p.Stale(); why != ".mcp.json changed" && why != "settings.json does not parse" {
		t.Errorf("got %q", why)
	}
}

func BenchmarkStale(b *testing.B) {
	dir, home := filepath.Join(b.TempDir(), "a", "b", "c"), b.TempDir()
	for i := range 30 {
		name := string(rune('a'+i%26)) + strings.Repeat("x", i)
		put(b, "x", dir, ".claude", "commands", name+".md")
		put(b, "x", home, ".claude", "skills", name, "SKILL.md")
		put(b, "x", dir, ".claude", "rules", name+".md")
	}
	w := watch(&Options{Watch: Sources(dir, []string{"HOME=" + home}, nil)}, "")
	for b.Loop() {
		w.stale(nil)
		for _, f := range w.Files {
			if f.Kind == Reloaded {
				f.now()
			}
		}
	}
}
