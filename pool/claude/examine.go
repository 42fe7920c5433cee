package claude

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"iris/config/sys"
)

// examineTimeout limits each run of a program that is only asked about itself.
const examineTimeout = 10 * time.Second

// mostSaid is how many bytes of its output are kept.
const mostSaid = 64 << 10

// Examined is what a program reports about itself, without a message to the API.
type Examined struct {
	Version string
	Login   string // how it is logged in; LoggedOut, or empty if unknown
}

// LoggedOut is Examined.Login of a program without a login.
const LoggedOut = "none"

// Program finds the file that Start would run with these options.
func Program(o Options) (string, error) { return o.program() }

// Examine asks a program for its version and its login. err is about the version;
// loginErr says why the login is unknown.
func Examine(ctx context.Context, path string, o Options) (e Examined, loginErr, err error) {
	out, err := o.query(ctx, path, "--version")
	if err != nil {
		return e, nil, err
	}
	e.Version, _, _ = strings.Cut(strings.TrimSpace(string(out)), " ")
	// A program without this command would take the name for a message.
	help, loginErr := o.query(ctx, path, "auth", "--help")
	if loginErr != nil || !bytes.Contains(help, []byte("claude auth")) || !bytes.Contains(help, []byte("\n  status ")) {
		return e, errors.New(`it has no "auth status" command`), nil
	}
	out, loginErr = o.query(ctx, path, "auth", "status", "--json")
	var said struct {
		LoggedIn *bool  `json:"loggedIn"`
		Method   string `json:"authMethod"`
	}
	switch {
	case json.Unmarshal(out, &said) != nil || said.LoggedIn == nil: // a program without a login exits with status 1, too
		if loginErr == nil {
			loginErr = errors.New("it does not tell")
		}
		return e, loginErr, nil
	case *said.LoggedIn:
		e.Login = said.Method
	default:
		e.Login = LoggedOut
	}
	return e, nil, nil
}

// query runs the program with these arguments, in the way an agent runs, and returns
// its stdout.
func (o *Options) query(ctx context.Context, path string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, examineTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = o.Dir, o.environ()
	cmd.WaitDelay = time.Second
	var stdout, stderr beginning
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := o.Reaper.RunSession(cmd)
	what := "program " + path + " " + strings.Join(args, " ")
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("%s: no answer within %v", what, examineTimeout)
	case err != nil && stderr.kept.Len() > 0:
		err = fmt.Errorf("%s: %w: %s", what, err, lastWords(stderr.kept.Bytes()))
	case err != nil:
		err = fmt.Errorf("%s: %w", what, sys.Cause(err))
	}
	return stdout.kept.Bytes(), err
}

// beginning keeps the first bytes written to it, up to the limit of an answer: an
// unknown program may write without end. The buffer is not embedded, since its
// ReadFrom would keep everything.
type beginning struct{ kept bytes.Buffer }

func (b *beginning) Write(p []byte) (int, error) {
	b.kept.Write(p[:min(len(p), max(0, mostSaid-b.kept.Len()))])
	return len(p), nil
}
