package claude

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Agents share an account if, after environment and settings, they use the same
// credentials, base URL and provider.
func TestAccount(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	settings := filepath.Join(t.TempDir(), "settings.json")
	if err := os.WriteFile(settings, []byte(`{"env": {"ANTHROPIC_API_KEY": "sk-secret-1"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	account := func(args []string, env ...string) string {
		return Account(dir, append([]string{"HOME=" + home}, env...), args)
	}
	one := account(nil, "ANTHROPIC_API_KEY=sk-secret-1")
	helper := []string{"--settings", `{"apiKeyHelper": "pass show key"}`}
	for _, tt := range []struct {
		name string
		got  string
		want string
	}{
		{"the login", account(nil), DefaultAccount},
		{"the usual directory by its name", account(nil, "CLAUDE_CONFIG_DIR="+home+"/.claude"), DefaultAccount},
		{"the same key in a settings file", account([]string{"--settings=" + settings}), one},
		{"a settings file before the environment", account([]string{"--settings", settings}, "ANTHROPIC_API_KEY=other"), one},
		{"the same key with another directory", account(nil, "ANTHROPIC_API_KEY=sk-secret-1", "CLAUDE_CONFIG_DIR=/x"), one},
		{"a token before a key", account(nil, "ANTHROPIC_API_KEY=sk-secret-1", "ANTHROPIC_AUTH_TOKEN=t"), account(nil, "ANTHROPIC_AUTH_TOKEN=t")},
		{"the same helper", account(helper), account([]string{"--verbose", helper[0], helper[1]})},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
	others := map[string]string{}
	for kind, got := range map[string]string{
		"api-key": one, "auth-token": account(nil, "ANTHROPIC_AUTH_TOKEN=sk-secret-1"), "key-helper": account(helper),
		"oauth-token": account(nil, "CLAUDE_CODE_OAUTH_TOKEN=sk-secret-1"), "config-dir": account(nil, "CLAUDE_CONFIG_DIR=/x"),
		"base-url": account(nil, "ANTHROPIC_BASE_URL=http://127.0.0.1"), "bedrock": account(nil, "CLAUDE_CODE_USE_BEDROCK=1", "AWS_PROFILE=a"),
		"api-key-": account(nil, "ANTHROPIC_API_KEY=sk-secret-2"), "api-key-3": account(nil, "ANTHROPIC_API_KEY=sk-secret-1", "ANTHROPIC_BASE_URL=http://127.0.0.1"),
		"bedrock-": account(nil, "CLAUDE_CODE_USE_BEDROCK=1", "AWS_PROFILE=b"),
	} {
		if other := others[got]; other != "" || !strings.HasPrefix(got, strings.TrimRight(kind, "-3")+"-") || strings.Contains(got, "secret") {
			t.Errorf("%s: %s, as %q", kind, got, other)
		}
		others[got] = kind
	}
}

// What identifies an account in a project's own settings counts, unless the arguments
// leave that file out.
func TestAccountOfAProject(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".claude"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".claude", "settings.json"), []byte(`{"apiKeyHelper": "x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"HOME=" + home}
	if got := Account(dir, env, nil); !strings.HasPrefix(got, "key-helper-") {
		t.Errorf("got %s", got)
	}
	if got := Account(dir, env, []string{"--setting-sources", "user"}); got != DefaultAccount {
		t.Errorf("got %s without the project's settings", got)
	}
}
