package claude

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"iris/config/sys"
	"iris/pool/procs"
)

// argv is the whole command line, the program's name first.
func (o *Options) argv() []string {
	args := append([]string{o.Command}, o.Prefix...)
	args = append(args, "-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose",
		"--include-partial-messages", "--replay-user-messages")
	if o.resume {
		args = append(args, "--resume="+o.SessionID)
		if o.RewindTo != "" {
			args = append(args, "--resume-session-at="+o.RewindTo)
		}
	} else {
		args = append(args, "--session-id="+o.SessionID)
	}
	if o.Ask {
		args = append(args, "--permission-prompt-tool=stdio")
	}
	return append(append(args, o.conversationModel()...), o.variantArgs()...)
}

// environ is the agent's environment: the caller's, without variables of a parent
// agent and variables that would run a turn twice, and with variables that the driver
// needs.
func (o *Options) environ() []string {
	seen := map[string]bool{}
	env := slices.DeleteFunc(backwards(o.Env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		if seen[name] {
			return true
		}
		seen[name] = true
		switch name {
		case procs.EnvProcess, "PWD", "OLDPWD", "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "CLAUDE_CODE_RESUME_INTERRUPTED_TURN":
			return true
		}
		return strings.HasPrefix(name, "CLAUDECODE")
	})
	if lookup(env, "DISABLE_AUTOUPDATER") == "" {
		env = append(env, "DISABLE_AUTOUPDATER=1")
	}
	return append(env, procs.EnvProcess+"="+o.ID, "PWD="+o.Dir, "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS=1")
}

// backwards is env in reverse: of two values the last counts.
func backwards(env []string) []string {
	env = slices.Clone(env)
	slices.Reverse(env)
	return env
}

// check finds errors that another try would not fix.
func (o *Options) check() error {
	if !ValidSessionID(o.SessionID) {
		return fmt.Errorf("session %q is not a UUID", o.SessionID)
	}
	info, err := os.Stat(o.Dir)
	if err != nil {
		return fmt.Errorf("directory %s: %w", o.Dir, sys.Cause(err))
	}
	if !info.IsDir() {
		return fmt.Errorf("directory %s is a file", o.Dir)
	}
	return nil
}

// program finds the file to run: in the agent's own PATH, or from the agent's
// directory if the name is a relative path.
func (o *Options) program() (string, error) {
	if strings.Contains(o.Command, "/") {
		path := o.Command
		if !filepath.IsAbs(path) {
			path = filepath.Join(o.Dir, path)
		}
		return path, executable(path)
	}
	search := lookup(o.Env, "PATH")
	var found error
	for _, dir := range filepath.SplitList(search) {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, o.Command)
		info, err := os.Stat(path)
		if err != nil {
			continue // it is not there, as far as this user can see
		}
		if err = runnable(path, info); err == nil {
			return path, nil
		}
		found = cmp.Or(found, err)
	}
	if found != nil {
		return "", found
	}
	return "", fmt.Errorf("program %q is not on the agents' PATH (%s)%w", o.Command, search, sys.Silent(exec.ErrNotFound))
}

// executable says why the program at path obviously cannot run.
func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("program %s does not exist%w", path, sys.Silent(fs.ErrNotExist))
	case err != nil:
		return fmt.Errorf("program %s: %w", path, sys.Cause(err))
	}
	return runnable(path, info)
}

// runnable says why the file at path obviously is no program that can run.
func runnable(path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return fmt.Errorf("program %s is a directory", path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("program %s is not executable%w", path, sys.Silent(fs.ErrPermission))
	}
	return nil
}

// A programError says why a program did not start.
type programError struct{ error }

func (e programError) Unwrap() error { return e.error }

// updating reports whether a start may have failed because the program is being
// replaced: somebody is writing it, or it has run before and is missing or incomplete.
func (o *Options) updating(err error) bool {
	if _, ok := errors.AsType[programError](err); !ok {
		return false
	}
	return errors.Is(err, syscall.ETXTBSY) || o.Ran && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) ||
		errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOEXEC))
}

// ValidSessionID reports whether s can be the id of a conversation: a UUID.
func ValidSessionID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", c) {
			return false
		}
	}
	return true
}

// noConversation is what Claude Code says of a transcript that it cannot read or that
// belongs to another directory.
const noConversation = "No conversation found"

// A program that says one of these will fail again until a person changes something.
var permanent = []string{
	"unknown option", "unknown command", strings.ToLower(noConversation), "invalid session id",
	"cannot be used with root", "missing required argument", "argument missing", "is invalid", "exec format error",
}

func isPermanent(said string) bool {
	said = strings.ToLower(said)
	return slices.ContainsFunc(permanent, func(p string) bool { return strings.Contains(said, p) })
}

// lastWords picks the most useful line of a stderr: the last that mentions an error,
// else the last. Of two lines, one of which only announces the other, it has both.
func lastWords(stderr []byte) string {
	var lines []string
	for line := range strings.Lines(string(stderr)) {
		if line = oneLine(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	at := len(lines) - 1
	for i, line := range lines {
		if strings.Contains(strings.ToLower(line), "error") {
			at = i
		}
	}
	announces := func(i int) bool { return i >= 0 && i+1 < len(lines) && strings.HasSuffix(lines[i], ":") }
	switch {
	case announces(at):
		return lines[at] + " " + lines[at+1]
	case announces(at - 1):
		return lines[at-1] + " " + lines[at]
	}
	return lines[at]
}
