package claude

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// A conversation may go on without iris: a person resumes it by hand. Claude Code lets two
// processes use one conversation, each without what the other has said, and what only one
// of them knows is lost to the next. So an agent is not used while somebody else has its
// conversation open, nor after somebody else has said something in it.

// OpenError says that a Claude Code that is no agent has a conversation open.
type OpenError struct {
	SessionID string
	PID       int
}

func (e *OpenError) Error() string {
	return fmt.Sprintf("conversation %s is open elsewhere, in the Claude Code with process id %d", e.SessionID, e.PID)
}

// OpenBy returns the process id of a live Claude Code with that directory, other than
// except, that has a conversation open; 0 for none. Each process has a file with its id and
// start time in sessions/; a killed process leaves the file behind.
func OpenBy(config, sessionID string, except int) int {
	files, _ := filepath.Glob(filepath.Join(globQuote(config), "sessions", "*.json"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, []byte(sessionID)) { // most files: each turn looks at all
			continue
		}
		if s, p, err := parseSessionFile(text); err == nil && s.Session == sessionID && s.PID != except && p.Alive() {
			return s.PID
		}
	}
	return 0
}

// elsewhere says that a process that is no agent has the conversation open. Of an agent
// createSpool says it.
func (o *Options) elsewhere() error {
	if !o.resume {
		return nil
	}
	pid := OpenBy(ConfigDir(o.Env), o.SessionID, 0)
	if pid == 0 {
		return nil
	}
	if owner, _ := liveOwner(o.Spools, o.SessionID); owner != "" {
		return nil
	}
	return &OpenError{o.SessionID, pid}
}

// wentOn says how the conversation of an agent has gone on without it; empty if it has not,
// or while the agent is at work, so that nobody can tell.
func (p *Process) wentOn() string {
	if ready, _ := p.readyNow(); !ready || !p.watchesTranscript() {
		return ""
	}
	path, _ := p.transcriptNow()
	p.mu.Lock()
	last := p.status.last
	p.mu.Unlock()
	if saidAfter(path, last) {
		return "the conversation went on elsewhere"
	}
	if pid := OpenBy(p.spool.config(), p.Session(), p.PID()); pid != 0 {
		return fmt.Sprintf("the conversation is open elsewhere (pid %d)", pid)
	}
	return ""
}

const (
	firstTail = 64 << 10 // bytes of a transcript's end that are read first
	maxTails  = 16 << 20 // and at most
)

// answerLine is a line of a transcript, with the members that tell whose it is.
type answerLine struct {
	Type    string `json:"type"`
	UUID    string `json:"uuid"`
	Aside   bool   `json:"isSidechain"` // a subagent's
	Entry   string `json:"entrypoint"`  // how its writer was started
	Message struct {
		Model string `json:"model"`
	} `json:"message"`
}

// counts reports whether the model has said the line in the conversation itself.
func (l *answerLine) counts() bool {
	return l.Type == "assistant" && !l.Aside && l.Message.Model != "<synthetic>"
}

// LastAnswer returns the id of the last answer in a transcript; empty for none, and if it is
// not in the last 16 MB.
func LastAnswer(path string) (uuid string) {
	withTails(path, func(tail []byte) bool {
		for line := range bytes.Lines(tail) {
			var l answerLine
			if bytes.Contains(line, []byte(`"assistant"`)) && json.Unmarshal(line, &l) == nil && l.counts() {
				uuid = l.UUID
			}
		}
		return uuid != ""
	})
	return uuid
}

// saidAfter reports whether somebody else has said something in a transcript after the
// answer with that id, which was the last of its writer. It is false if the answer is not
// there, or not yet: nobody can tell then.
func saidAfter(path, uuid string) (said bool) {
	if uuid == "" {
		return false
	}
	withTails(path, func(tail []byte) bool {
		at := bytes.LastIndex(tail, []byte(`"uuid":"`+uuid+`"`)) // a parent is "parentUuid"
		if at < 0 {
			return false
		}
		var last answerLine
		rest := tail[bytes.LastIndexByte(tail[:at], '\n')+1:]
		for line := range bytes.Lines(rest) {
			var l answerLine
			if json.Unmarshal(line, &l) != nil {
				continue // not complete yet
			}
			if last.UUID == "" {
				last = l
				continue
			}
			stranger := (l.Type == "user" || l.Type == "assistant") && !l.Aside && l.Entry != last.Entry
			said = said || l.counts() || stranger
		}
		return true
	})
	return said
}

// withTails calls f with longer and longer ends of a file, until it is content.
func withTails(path string, f func(tail []byte) bool) {
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return
	}
	for n := int64(firstTail); ; n *= 8 {
		from := max(0, info.Size()-n)
		tail := make([]byte, info.Size()-from)
		if _, err := file.ReadAt(tail, from); err != nil { // it was cut meanwhile
			return
		}
		if from > 0 { // the first line is not whole
			tail = tail[bytes.IndexByte(tail, '\n')+1:]
		}
		if f(tail) || from == 0 || n >= maxTails {
			return
		}
	}
}
