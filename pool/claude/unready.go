package claude

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

const (
	maxFirst = 4 << 10 // bytes of output that are looked at when an agent is not ready
	maxShown = 100     // bytes of it in an error
)

// early returns the beginning of the agent's output.
func (s *spool) early() []byte {
	buf := make([]byte, maxFirst)
	n, err := s.out.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return nil
	}
	return buf[:n]
}

// wroteInstead says what an agent has written in place of the answer to initialize, as
// the rest of a sentence.
func wroteInstead(early []byte) string {
	early = bytes.TrimSpace(early)
	first, _, _ := bytes.Cut(early, []byte("\n"))
	if len(first) == 0 {
		return "it has written nothing: a SessionStart hook takes longer, or a wrapper keeps the input from it"
	}
	if len(early) < maxFirst && !json.Valid(first) || first[0] != '{' {
		return fmt.Sprintf("its first output was %q, and lines of JSON are needed: a wrapper must print nothing of its own", truncated(first))
	}
	hook := ""
	for line := range bytes.Lines(early) {
		var m struct {
			Subtype string `json:"subtype"`
			Hook    string `json:"hook_name"`
		}
		if json.Unmarshal(line, &m) != nil {
			continue
		}
		switch m.Subtype {
		case "hook_started":
			hook = m.Hook
		case "hook_response":
			hook = ""
		}
	}
	if hook != "" {
		return "its hook " + truncated([]byte(hook)) + " is running"
	}
	return ""
}

func truncated(b []byte) string {
	if len(b) > maxShown {
		return strings.ToValidUTF8(string(b[:maxShown]), "") + "..."
	}
	return string(b)
}

// withOutput adds to the error of an agent that is not ready what it has written so
// far.
func (p *Process) withOutput(err error) error {
	early := p.firstOutput
	if !p.isDone() {
		early = p.spool.early()
	}
	if wrote := wroteInstead(early); wrote != "" {
		return fmt.Errorf("%w: %s", err, wrote)
	}
	return err
}
