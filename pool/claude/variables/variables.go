// Package variables knows the environment variables that Claude Code reads: by which a user
// configures it, which it needs to reach its model, and which a process of it sets for its
// children. It has no goroutines and no state.
package variables

import (
	"slices"
	"strings"
)

// settings names the variables by which a user configures Claude Code, as its
// documentation lists them. As in every list here, a * at the end stands for any ending.
var settings = []string{
	"ANTHROPIC_*", "CLAUDE_CODE_*", "CLAUDE_CONFIG_DIR", "CLAUDE_ENABLE_*", "CLAUDE_AGENT_SDK_*",
	"CLAUDE_ASYNC_AGENT_STALL_TIMEOUT_MS", "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE", "CLAUDE_AUTO_BACKGROUND_TASKS",
	"CLAUDE_BASH_MAINTAIN_PROJECT_WORKING_DIR", "CLAUDE_STREAM_IDLE_TIMEOUT_MS",
	"API_TIMEOUT_MS", "BASH_DEFAULT_TIMEOUT_MS", "BASH_MAX_OUTPUT_LENGTH", "BASH_MAX_TIMEOUT_MS", "MCP_*",
	"DISABLE_AUTOUPDATER", "DISABLE_AUTO_COMPACT", "DISABLE_COMPACT", "DISABLE_COST_WARNINGS", "DISABLE_ERROR_REPORTING",
	"DISABLE_FEEDBACK_COMMAND", "DISABLE_GROWTHBOOK", "DISABLE_INSTALLATION_CHECKS", "DISABLE_INTERLEAVED_THINKING",
	"DISABLE_PROMPT_CACHING*", "DISABLE_TELEMETRY", "DISABLE_UPDATES", "DO_NOT_TRACK",
	"ENABLE_CLAUDEAI_MCP_SERVERS", "ENABLE_PROMPT_CACHING_1H*", "ENABLE_TOOL_SEARCH",
	"FALLBACK_FOR_ALL_PRIMARY_MODELS", "FORCE_AUTOUPDATE_PLUGINS", "FORCE_PROMPT_CACHING_5M",
	"MAX_MCP_OUTPUT_TOKENS", "MAX_STRUCTURED_OUTPUT_RETRIES", "MAX_THINKING_TOKENS",
	"SLASH_COMMAND_TOOL_CHAR_BUDGET", "TASK_MAX_OUTPUT_LENGTH", "USE_BUILTIN_RIPGREP",
}

// ofOneProcess names variables that are about one process or one terminal: a parent
// Claude Code sets them for its children, an editor for its terminals. The last two would
// break the pool: a process without a transcript cannot be resumed, and one that exits by
// itself is not warm.
var ofOneProcess = []string{
	"CLAUDECODE*", "CLAUDE_CODE_BRIDGE_*", "CLAUDE_CODE_CHILD_*", "CLAUDE_CODE_COORDINATOR_*", "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS",
	"CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_EVAL_*", "CLAUDE_CODE_EXECPATH", "CLAUDE_CODE_HOST_*", "CLAUDE_CODE_LAUNCHED_BY_*",
	"CLAUDE_CODE_MESSAGING_*", "CLAUDE_CODE_PARENT_*", "CLAUDE_CODE_RELAUNCH_*", "CLAUDE_CODE_REMOTE", "CLAUDE_CODE_REMOTE_*",
	"CLAUDE_CODE_RESUME_*", "CLAUDE_CODE_SDK_*", "CLAUDE_CODE_SESSION_*", "CLAUDE_CODE_SSE_PORT", "CLAUDE_CODE_TEAMMATE_*", "CLAUDE_CODE_TMUX_*",
	"CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR", "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "CLAUDE_CODE_WEBSOCKET_AUTH_FILE_DESCRIPTOR",
	"CLAUDE_CODE_SKIP_PROMPT_HISTORY", "CLAUDE_CODE_EXIT_AFTER_STOP_DELAY",
}

// The variables of the clouds that serve models.
var (
	ofAWS    = []string{"AWS_*"}
	ofGoogle = []string{"GOOGLE_*", "GCLOUD_PROJECT", "CLOUD_ML_REGION", "CLOUDSDK_*", "VERTEX_REGION_*"}
	ofAzure  = []string{"AZURE_*"}
)

// switches are variables that make Claude Code read others.
var switches = []struct {
	name  string
	needs []string
}{
	{"CLAUDE_CODE_USE_BEDROCK", ofAWS},
	{"CLAUDE_CODE_USE_MANTLE", ofAWS},
	{"CLAUDE_CODE_USE_ANTHROPIC_AWS", ofAWS},
	{"CLAUDE_CODE_USE_VERTEX", ofGoogle},
	{"CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD", ofGoogle},
	{"CLAUDE_CODE_USE_FOUNDRY", ofAzure},
	{"CLAUDE_CODE_ENABLE_TELEMETRY", []string{"OTEL_*"}},
}

// credentials names the variables that Claude Code may need to reach its model.
var credentials = []string{
	"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_FOUNDRY_*", "ANTHROPIC_VERTEX_*",
	"CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_USE_*", "CLAUDE_CONFIG_DIR",
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_BEARER_TOKEN_BEDROCK", "AWS_CONFIG_FILE",
	"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUD_ML_REGION",
	"AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID",
}

// IsSetting reports whether a user configures Claude Code by the variable.
func IsSetting(name string) bool {
	return Match(settings, name) && !Match(ofOneProcess, name)
}

// IsCredential reports whether Claude Code may need the variable to reach its model.
func IsCredential(name string) bool { return Match(credentials, name) }

// Providers names the variables that make Claude Code use a cloud.
func Providers() (names []string) {
	for _, s := range switches {
		if strings.HasPrefix(s.name, "CLAUDE_CODE_USE_") {
			names = append(names, s.name)
		}
	}
	return names
}

// SwitchedOn returns a function that reports whether Claude Code reads a variable because
// of a switch among vars, such as AWS_REGION because of CLAUDE_CODE_USE_BEDROCK.
func SwitchedOn(vars func(name string) string) func(name string) bool {
	var needs []string
	for _, s := range switches {
		switch strings.ToLower(vars(s.name)) {
		case "1", "true", "yes", "on":
			needs = append(needs, s.needs...)
		}
	}
	return func(name string) bool { return Match(needs, name) }
}

// Match reports whether one of the patterns matches a name. A * at the end of a
// pattern stands for any ending.
func Match(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		prefix, star := strings.CutSuffix(p, "*")
		return p == name || star && strings.HasPrefix(name, prefix)
	})
}

// OfOneProcess reports whether a variable is about one process or terminal, and must not be
// inherited by chance.
func OfOneProcess(name string) bool { return Match(ofOneProcess, name) }
