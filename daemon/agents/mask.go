package agents

import (
	"slices"
	"strings"

	"iris/config"
	"iris/ipc"
)

// mask hides the values that may be secrets: those that a team brings along by its env_file
// or pass_env, and those whose name or form says so.
func (b *Built) mask(t *config.Team) {
	for i, v := range b.Vars {
		brought := v.Source == t.EnvFile || v.Source == b.base.source && !always(v.Name) && passes(t, v.Name)
		if brought || looksSecret(v) {
			b.Vars[i].Value = masked(v.Value)
		}
	}
}

// secretWords are parts of the names of secrets.
var secretWords = []string{"KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "AUTH_HEADER", "CUSTOM_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"}

// looksSecret reports whether the name of a variable says that it is a secret, or its value
// is an address with a user in it.
func looksSecret(v ipc.EnvVar) bool {
	name := strings.ToUpper(v.Name)
	if slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(name, w) }) {
		return true
	}
	return strings.Contains(v.Value, "@") && (strings.Contains(v.Value, "://") || strings.Contains(name, "PROXY"))
}

// masked shows the last four characters of a long value, and nothing of a short one.
func masked(value string) string {
	switch {
	case value == "":
		return ""
	case len(value) < 24:
		return "****"
	}
	return "****" + strings.ToValidUTF8(value[len(value)-4:], "")
}
