package echo

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"iris/config/sys"
)

const help = `usage: iris agent echo [flags of Claude Code]

The built-in agent. It reads Claude Code's stream-json from standard input and
answers each message with its own text. All flags but -h are accepted and most
are ignored. Two messages are commands to it:

  /sleep 5s [text]   answer after the delay, with text
  /fail [text]       fail the turn, with text as the reason
`

// Run runs the agent until the input ends, end_session comes or ctx is cancelled, and
// returns the exit status. As with the real program that is 1 if the last turn failed
// or the input is malformed, and 143 if ctx is cancelled, which ends a running turn
// without a result.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if slices.Contains(args, "-h") || slices.Contains(args, "--help") {
		fmt.Fprint(stdout, help)
		return 0
	}
	s := &Server{
		Options: ParseOptions(args),
		States:  os.Getenv("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS") == "1",
		Model:   "echo",
		Version: "echo",
		Stdin:   stdin,
		Stdout:  stdout,
		Stderr:  stderr,
		Answer:  answer,
	}
	return s.Run(ctx)
}

// answer is the whole logic of the agent.
func answer(ctx context.Context, t *Turn) Reply {
	text := t.Message.Text
	if rest, ok := strings.CutPrefix(text, "/fail"); ok && (rest == "" || rest[0] == ' ') {
		return Reply{Result: Failure(strings.TrimSpace("failed on request: " + strings.TrimSpace(rest)))}
	}
	if d, rest, ok := parseSleep(text); ok {
		if !sys.Sleep(ctx, d) {
			return Reply{}
		}
		text = rest
	}
	return Reply{Text: text}
}

// parseSleep splits "/sleep 5s text". The text defaults to the whole message.
func parseSleep(text string) (time.Duration, string, bool) {
	rest, ok := strings.CutPrefix(text, "/sleep ")
	if !ok {
		return 0, "", false
	}
	delay, rest, found := strings.Cut(rest, " ")
	d, err := time.ParseDuration(strings.TrimSpace(delay))
	if err != nil {
		return 0, "", false
	}
	if !found {
		rest = text
	}
	return d, rest, true
}
