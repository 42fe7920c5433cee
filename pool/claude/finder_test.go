package claude

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// streamed returns what a stream of the message's turn passes on.
func streamed(t *testing.T, spool, uuid string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, []byte(spool), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	s := newStream(f, 0, uuid, 0)
	defer s.Close()
	var g got
	if err := s.Read(g.emit); err != nil { // the output is not complete yet
		t.Fatal(err)
	}
	if err := s.Finish(g.emit); err != nil {
		t.Fatal(err)
	}
	return strings.Join(g.lines, "\n") + "\n"
}

// A turn that the agent began by itself, as a program without lifecycle writes it, and
// its idle line, which comes before the next turn.
const (
	ownDone = `{"type":"system","subtype":"session_state_changed","state":"running"}
{"type":"system","subtype":"init"}
{"type":"assistant","message":{"content":[{"type":"text","text":"by itself"}]}}
{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"by itself"}
`
	ownFailed = `{"type":"result","subtype":"success","is_error":true,"num_turns":1,"result":"API Error"}
`
	ownIdle = `{"type":"system","subtype":"session_state_changed","state":"idle"}
`
)

// Without lifecycle no line names a message for which the model was not asked. Its
// output is there all the same, and that of the agent's own turns before it is not.
func TestStreamOfAMessageForWhichTheModelIsNotAsked(t *testing.T) {
	for _, name := range []string{"local-command", "refused-command", "unknown-command", "empty-compact", "clear"} {
		lines := string(recorded(t, versions[0], name))
		for before, spool := range map[string]string{"": lines, ownIdle: ownDone + ownIdle + lines} {
			if got := streamed(t, spool, "u"); got != before+lines {
				t.Errorf("%s: got %d bytes of %d: %.300s", name, len(got), len(lines), got)
			}
		}
	}
}

// A long answer of the program itself is found as well, and a long one of an own turn
// is left out.
func TestStreamFindsALongResult(t *testing.T) {
	long := func(turns string) string {
		return `{"type":"result","subtype":"success","is_error":false,"num_turns":` + turns + `,"result":"` + strings.Repeat("a", 2*chunk) + "\"}\n"
	}
	lines := `{"type":"system","subtype":"init"}` + "\n" + long("0")
	if got := streamed(t, long("1")+lines, "u"); got != lines {
		t.Errorf("got %d bytes, want %d: %.100s", len(got), len(lines), got)
	}
}

// A line that names the message says more than a turn that may be its own.
func TestStreamBelievesTheLineThatNamesTheMessage(t *testing.T) {
	replay := `{"type":"user","message":{"role":"user","content":"m"},"uuid":"u","isReplay":true}` + "\n"
	answer := `{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"m"}` + "\n"
	if got := streamed(t, ownFailed+ownIdle+replay+answer, "u"); got != ownIdle+answer {
		t.Errorf("with a replay: %s", got)
	}
	cancelled := `{"type":"command_lifecycle","command_uuid":"u","state":"cancelled"}` + "\n"
	if got := streamed(t, ownFailed+cancelled, "u"); got != cancelled {
		t.Errorf("a message that never began: %s", got)
	}
}

// The stream and the notes agree about whose turn it is.
func TestFinderAgreesWithTheNotes(t *testing.T) {
	for _, v := range versions {
		for _, c := range recordings {
			lines := recorded(t, v, c.name)
			streams := strings.Contains(streamed(t, string(lines), messageIn(lines)), `"type":"result"`)
			if answered := replay(lines) != nil; streams != answered {
				t.Errorf("%s %s: streamed: %v, answered: %v", v, c.name, streams, answered)
			}
		}
	}
}
