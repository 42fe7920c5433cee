package config

import (
	"fmt"
	"strings"
)

// Sample returns a configuration for people to start from: every key with its meaning
// and default, all commented out, so that it has no effect.
func Sample() string {
	var b strings.Builder
	b.WriteString(`# iris configuration: ~/.config/iris/config.toml
#
# Every key is shown with its default. Durations are strings such as "30s",
# "1h30m" or "7d", sizes are strings such as "800MB" or "2GiB". For a daemon
# that is started in the foreground, keys with one value can also be set in its
# environment, as in IRIS_MAX_PROCESSES=3, or by its flags, as in
# --max-processes 3. "iris config check" says what is wrong; iris-config(5) has
# the details.

# The daemon and its pool.

`)
	for _, k := range keys {
		if k.where == top {
			k.sample(&b)
		}
	}
	b.WriteString("# Defaults for all teams.\n\n")
	for _, k := range keys {
		if k.where == both {
			k.sample(&b)
		}
	}
	b.WriteString(`# A team is a project directory with a name. Everything of the second part may
# be set for one team, too. "iris team add NAME DIR" writes such a table into a
# file of its own in conf.d beside this file.

`)
	b.WriteString("# [teams.api]\n")
	for _, k := range keys {
		if k.where == team {
			k.sample(&b)
		}
	}
	b.WriteString("# [teams.api.env]\n# PORT = \"8080\"\n")
	return b.String()
}

// sample writes one key: its meaning as a comment with two marks, so that removing
// one mark from every line gives a valid configuration.
func (k *key) sample(b *strings.Builder) {
	for _, line := range wrap(k.doc+" ("+k.describe()+")", 74) {
		fmt.Fprintf(b, "## %s\n", line)
	}
	fmt.Fprintf(b, "# %s = %s\n\n", k.name, k.example())
}

// example is the default, or a value that shows the form.
func (k *key) example() string {
	switch {
	case k.def != "":
		return k.def
	case k.kind == kindDir:
		return `"~/src/api"`
	case k.list():
		return "[]"
	case k.table():
		return "{}"
	}
	return `""`
}

// wrap breaks text into lines of at most width bytes, at spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
