package adapter

import (
	"path/filepath"
	"slices"
)

// Conversation returns the id that a program has given to a conversation of iris, of which
// an adapter with that state directory has the record; empty if nothing was said in it.
func Conversation(state, id string) (string, error) {
	s, err := openSession(state, id)
	if err != nil {
		return "", err
	}
	return s.ID, nil
}

// Terminal returns the command line with which a person goes on with a conversation of the
// program, or with a copy of it. protocol and command are those of the adapter; the result is
// nil if the program is none that has such a command. codex runs without its shared server,
// which would keep the conversation open after its end.
func Terminal(protocol string, command []string, id string, fork bool) []string {
	switch {
	case protocol == "codex" && fork:
		return append(slices.Clone(command), "fork", "--no-daemon", id)
	case protocol == "codex":
		return append(slices.Clone(command), "resume", "--no-daemon", id)
	case filepath.Base(command[0]) == "opencode" && fork:
		return []string{command[0], "--session", id, "--fork"}
	case filepath.Base(command[0]) == "opencode":
		return []string{command[0], "--session", id}
	}
	return nil
}
