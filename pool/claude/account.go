package claude

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"iris/pool/claude/variables"
)

// DefaultAccount is the account of agents that use the login of the user.
const DefaultAccount = "default"

// Account names the account that an agent in dir uses: agents with the same credentials,
// base URL and provider have the same account. The name has no secret in it. It depends on
// the environment and on settings files, as Claude Code reads them.
func Account(dir string, env, args []string) string {
	c := readCredentials(dir, env, args)
	kind, secret := c.chosen()
	base := c.get("ANTHROPIC_BASE_URL")
	headers := c.get("ANTHROPIC_CUSTOM_HEADERS")
	if kind == "" && base == "" && headers == "" {
		return DefaultAccount
	}
	h := sha256.New()
	for _, part := range append([]string{kind, strings.TrimRight(base, "/"), headers}, secret...) {
		fmt.Fprintf(h, "%d %s", len(part), part)
	}
	return cmp.Or(kind, "base-url") + "-" + hex.EncodeToString(h.Sum(nil)[:4])
}

// credentials are the variables and the helper by which an agent reaches its model.
type credentials struct {
	env    []string
	config string            // configuration directory with the login
	set    map[string]string // by settings files, which count more than env
	helper string
}

func (c *credentials) get(name string) string { return cmp.Or(c.set[name], lookup(c.env, name)) }

// chosen says which of the credentials Claude Code uses, in its order, and what identifies
// them; nothing for the login of the user.
func (c *credentials) chosen() (kind string, secret []string) {
	if cloud := c.cloud(); cloud != "" {
		return cloud, c.all()
	}
	for _, v := range []struct{ kind, value string }{
		{"auth-token", c.get("ANTHROPIC_AUTH_TOKEN")},
		{"api-key", c.get("ANTHROPIC_API_KEY")},
		{"key-helper", c.helper},
		{"oauth-token", c.get("CLAUDE_CODE_OAUTH_TOKEN")},
	} {
		if v.value != "" {
			return v.kind, []string{v.value}
		}
	}
	if usual := filepath.Join(lookup(c.env, "HOME"), ".claude"); realPath(c.config) != realPath(usual) {
		return "config-dir", []string{realPath(c.config)}
	}
	return "", nil
}

// cloud is the provider that a variable such as CLAUDE_CODE_USE_BEDROCK switches on.
func (c *credentials) cloud() string {
	for _, name := range variables.Providers() {
		switch strings.ToLower(c.get(name)) {
		case "1", "true", "yes", "on":
			return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "CLAUDE_CODE_USE_"), "_", "-"))
		}
	}
	return ""
}

// all lists the variables that a cloud may need, sorted. A key of Anthropic is none.
func (c *credentials) all() (vars []string) {
	seen := maps.Clone(c.set)
	for _, kv := range c.env {
		if name, _, ok := strings.Cut(kv, "="); ok {
			seen[name] = c.get(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if variables.IsCredential(name) && name != "CLAUDE_CONFIG_DIR" && !strings.HasPrefix(name, "ANTHROPIC_A") {
			vars = append(vars, name+"="+seen[name])
		}
	}
	return vars
}

// readCredentials reads the settings files in the order in which later ones count more.
func readCredentials(dir string, env, args []string) *credentials {
	c := &credentials{env: env, config: ConfigDir(env), set: map[string]string{}}
	l := lister{from: readFrom(args), known: map[string]bool{}}
	l.settings("user", filepath.Join(c.config, "settings.json"))
	l.settings("project", filepath.Join(dir, ".claude", "settings.json"))
	l.settings("local", filepath.Join(dir, ".claude", "settings.local.json"))
	for _, s := range l.found {
		c.readFile(s.Path)
	}
	for name, value := range options(args) {
		switch {
		case name != "--settings" || value == "":
		case strings.HasPrefix(strings.TrimSpace(value), "{"):
			c.read([]byte(value))
		case filepath.IsAbs(value):
			c.readFile(value)
		default:
			c.readFile(filepath.Join(dir, value))
		}
	}
	c.readFile(filepath.Join(managedDir(), "managed-settings.json"))
	return c
}

// readFile reads a settings file. One that cannot be read says nothing: agents that start
// report it.
func (c *credentials) readFile(path string) {
	info, err := os.Stat(path)
	if err != nil {
		return
	}
	if text, err := readSettings(path, info); err == nil {
		c.read(text)
	}
}

func (c *credentials) read(text []byte) {
	var s struct {
		Env    map[string]any `json:"env"`
		Helper string         `json:"apiKeyHelper"`
	}
	if json.Unmarshal(bytes.TrimSpace(text), &s) != nil {
		return
	}
	c.helper = cmp.Or(s.Helper, c.helper)
	for name, value := range s.Env {
		c.set[name] = fmt.Sprint(value)
	}
}
