package claude

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"iris/pool/procs"
)

// Lines of a transcript.
const (
	toldLine    = `{"type":"user","uuid":"u1","entrypoint":"sdk-cli","message":{"role":"user","content":"echo:\"uuid\":\"a1\""}}` + "\n"
	oneAnswer   = `{"parentUuid":"u1","type":"assistant","uuid":"a1","entrypoint":"sdk-cli","message":{"model":"claude-x","content":[]}}` + "\n"
	moreLines   = `{"parentUuid":"a1","type":"attachment","uuid":"t1","entrypoint":"sdk-cli"}` + "\n" + `{"type":"last-prompt","leafUuid":"a1"}` + "\n"
	asideLine   = `{"parentUuid":"a1","isSidechain":true,"type":"assistant","uuid":"s1","entrypoint":"sdk-cli","message":{"model":"claude-x"}}` + "\n"
	ownLine     = `{"parentUuid":"a1","type":"assistant","uuid":"y1","entrypoint":"sdk-cli","message":{"model":"<synthetic>"}}` + "\n"
	otherAnswer = `{"parentUuid":"a1","type":"assistant","uuid":"a2","entrypoint":"sdk-cli","message":{"model":"claude-x"}}` + "\n"
	otherText   = `{"parentUuid":"a1","type":"user","uuid":"u2","entrypoint":"cli","message":{"role":"user","content":"stop"}}` + "\n"
)

func TestWordsOfOthersAfterAnAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.jsonl")
	long := strings.Repeat(moreLines, firstTail/len(moreLines)+1)
	for _, c := range []struct {
		name, text string
		said       bool
		last       string
	}{
		{"nothing", toldLine + oneAnswer, false, "a1"},
		{"what the agent itself adds", toldLine + oneAnswer + moreLines + asideLine + ownLine, false, "a1"},
		{"an answer of the same kind of process", toldLine + oneAnswer + moreLines + otherAnswer, true, "a2"},
		{"a text that nobody has answered", toldLine + oneAnswer + moreLines + otherText, true, "a1"},
		{"far from the end", toldLine + oneAnswer + long, false, "a1"},
		{"far from the end, and another one", toldLine + oneAnswer + otherAnswer + long, true, "a2"},
		{"a line that is being written", toldLine + oneAnswer + otherAnswer[:40], false, "a1"},
		{"the answer is not there yet", toldLine, false, ""},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if said := saidAfter(path, "a1"); said != c.said {
			t.Errorf("%s: got %v, want %v", c.name, said, c.said)
		}
		if last := LastAnswer(path); last != c.last {
			t.Errorf("%s: the last answer is %q, want %q", c.name, last, c.last)
		}
	}
	if saidAfter(path+".none", "a1") || LastAnswer(path+".none") != "" {
		t.Error("a file that is missing says something")
	}
}

func TestIDOfALine(t *testing.T) {
	const id = "5f6b2a4e-3c1d-4b8a-9e7f-2d1c0b9a8e7d"
	for line, want := range map[string]string{
		`{"type":"assistant","message":{"content":[{"input":{"uuid":"x"}}]},"uuid":"` + id + `","user_message_uuid":"other"}`: id,
		`{"type":"assistant"}`:                "",
		`{"type":"assistant","uuid":"short"}`: "",
	} {
		if got := lineID([]byte(line)); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestConversationIsOpenByALiveProcess(t *testing.T) {
	config := t.TempDir()
	if err := os.Mkdir(filepath.Join(config, "sessions"), 0o700); err != nil {
		t.Fatal(err)
	}
	const id = "5f6b2a4e-3c1d-4b8a-9e7f-2d1c0b9a8e7d"
	self := procs.Identify(os.Getpid())
	write := func(start uint64) {
		text := `{"pid":` + strconv.Itoa(self.PID) + `,"sessionId":"` + id + `","procStart":"` + strconv.FormatUint(start, 10) + `"}`
		if err := os.WriteFile(filepath.Join(config, "sessions", strconv.Itoa(self.PID)+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(self.Start)
	if got := OpenBy(config, id, 0); got != self.PID {
		t.Errorf("got %d, want %d", got, self.PID)
	}
	if got := SessionOf(config, self.PID); got != id {
		t.Errorf("got session %q", got)
	}
	if OpenBy(config, id, self.PID) != 0 || OpenBy(config, NewSessionID(), 0) != 0 {
		t.Error("open by another process, or another conversation")
	}
	write(self.Start + 1) // of a process that had the number before
	if OpenBy(config, id, 0) != 0 || SessionOf(config, self.PID) != "" {
		t.Error("the file of a process that is gone counts")
	}
}
