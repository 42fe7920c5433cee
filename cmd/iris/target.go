package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"iris/config"
	"iris/ipc"
)

// parseTarget splits TEAM[@SESSION]. A team is a name, or a directory: "." or a path
// with a slash, which is made absolute, since the daemon has another working
// directory. A "~" at its beginning is the user's home, as in the tables of iris.
//
// The session begins at the last "@", but only in the last element of a path:
// "./node_modules/@types" is a directory; so is a name with an "@" if there is such a
// directory.
func parseTarget(arg string) (team, session string, err error) {
	arg = fromTilde(arg, os.Getenv("HOME"))
	team = arg
	at := strings.LastIndexByte(arg, '@')
	if at > 0 && arg[at-1] != '/' && !strings.Contains(arg[at:], "/") {
		team, session = arg[:at], arg[at+1:]
		if session == "" {
			return "", "", usagef("leave the \"@\" out for the team's own session", "no session after the \"@\" in %q", arg)
		}
	}
	switch {
	case strings.HasPrefix(arg, "@") && !isDir(arg):
		return "", "", usagef("write TEAM or TEAM@SESSION first, and the files of a message after it", "%q is no team", arg)
	case isBadSession(arg):
		_, session, _ = strings.Cut(arg, "@")
		return "", "", usagef("./"+arg+" means a directory", "%s", config.CheckName("session", session))
	case arg == "" || team == "":
		return "", "", usagef("a team is a name, or a directory such as \".\"", "the team's name is empty")
	case !isPath(team):
		if err := config.CheckName("team", team); err != nil {
			return "", "", usagef("write TEAM or TEAM@SESSION, or ./DIR for a directory", "%s", err)
		}
		return team, session, nil
	case session != "" && isDir(arg):
		team, session = arg, ""
	}
	dir, err := filepath.Abs(team)
	if err != nil {
		return "", "", usagef("name the directory by its full path", "the working directory is gone")
	}
	return dir, session, nil
}

// isBadSession reports whether arg is a team's name and a session with a slash, rather
// than a directory.
func isBadSession(arg string) bool {
	team, session, _ := strings.Cut(arg, "@")
	return strings.Contains(session, "/") && config.CheckName("team", team) == nil && !isDir(arg)
}

// parseFilter parses an optional TEAM[@SESSION] as a filter: for all teams, all
// sessions of a team, or one session.
func parseFilter(args []string) (team string, session *string, err error) {
	if len(args) == 0 {
		return "", nil, nil
	}
	team, name, err := parseTarget(args[0])
	if name != "" {
		session = &name
	}
	return team, session, err
}

// fromTilde is the reverse of tilde.
func fromTilde(path, home string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && len(home) > 1 && (rest == "" || rest[0] == '/' || rest[0] == '@') {
		return home + rest
	}
	return path
}

func isPath(team string) bool {
	return team == "." || team == ".." || strings.Contains(team, "/")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// orDirectory adds a hint to an error about an unknown team, if there is a directory
// with that name here.
func orDirectory(team string, err error) error {
	var wire *ipc.Error
	if errors.As(err, &wire) && ipc.ReasonOf(err) == "no-such-team" && !isPath(team) && isDir(team) {
		wire.Data.Hint = "./" + team + " means the directory"
	}
	return err
}
