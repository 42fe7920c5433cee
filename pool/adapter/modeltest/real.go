package modeltest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Real is a real program with the stub as its model.
type Real struct {
	*Stub
	Name    string // "opencode" or "codex"
	Agent   string // of the team
	Command []string
	Env     []string // besides PATH
}

// Program returns the path of the program, which the environment gives as IRIS_OPENCODE or
// IRIS_CODEX. Without it the test is skipped.
func Program(t testing.TB, name string) string {
	t.Helper()
	variable := map[string]string{"opencode": "IRIS_OPENCODE", "codex": "IRIS_CODEX"}[name]
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("SKIPPED: needs %s: set %s to the path of the program", name, variable)
	}
	return path
}

// NewReal returns the program as Program does, with its configuration in a home directory.
// Commands of the shell need permission.
func NewReal(t testing.TB, name, home string) *Real {
	t.Helper()
	path := Program(t, name)
	s := New()
	t.Cleanup(s.Close)
	r := &Real{Stub: s, Name: name, Agent: "codex", Command: []string{path}, Env: []string{
		"HOME=" + home, "XDG_CONFIG_HOME=" + home + "/.config", "XDG_DATA_HOME=" + home + "/.data",
		"XDG_STATE_HOME=" + home + "/.state", "XDG_CACHE_HOME=" + home + "/.cache",
		"STUB_KEY=dummy", "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
	}}
	file, text := ".codex/config.toml", fmt.Sprintf(`model = "stub"
model_provider = "stub"
approval_policy = "on-request"
sandbox_mode = "read-only"
[model_providers.stub]
name = "stub"
base_url = "%s/v1"
env_key = "STUB_KEY"
wire_api = "responses"
`, s.URL)
	if name == "opencode" {
		r.Agent, r.Command = "acp", append(r.Command, "acp")
		r.Env = append(r.Env, "OPENCODE_DISABLE_MODELS_FETCH=1", "OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_LSP_DOWNLOAD=1", "OPENCODE_DISABLE_DEFAULT_PLUGINS=1")
		file, text = ".config/opencode/opencode.json", fmt.Sprintf(`{"model": "stub/stub", "small_model": "stub/stub", "autoupdate": false, "permission": {"bash": "ask"},
"provider": {"stub": {"npm": "@ai-sdk/openai-compatible", "name": "stub", "options": {"baseURL": "%s/v1", "apiKey": "dummy"},
"models": {"stub": {"name": "stub", "cost": {"input": 1, "output": 2}, "limit": {"context": 100000, "output": 1000}}}}}}`, s.URL)
	}
	file = filepath.Join(home, file)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}
