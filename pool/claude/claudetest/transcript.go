package claudetest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"iris/pool/echo"
)

// transcript is the session file of the fake. It has only the records of the real
// program that tests look for: one for each message and answer.
type transcript struct {
	cwd string
	sum echo.Sum // cost of the session before it was opened

	mu      sync.Mutex // protects the fields below
	path    string
	id      string
	users   []string // texts of the user
	said    bool     // there are records of a user
	uuids   map[string]bool
	pending []byte // not on disk yet
}

// costRecord is the record of the session's cost so far.
type costRecord struct {
	Type string   `json:"type"`
	Sum  echo.Sum `json:"sum"`
}

type record struct {
	Type      string        `json:"type"`
	UUID      string        `json:"uuid"`
	SessionID string        `json:"sessionId"`
	CWD       string        `json:"cwd"`
	Timestamp time.Time     `json:"timestamp"`
	Message   recordMessage `json:"message"`
}

type recordMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// TranscriptPath is where a session's file is: configDir is $CLAUDE_CONFIG_DIR
// or $HOME/.claude, cwd has no symbolic links in it.
func TranscriptPath(configDir, cwd, id string) string {
	munged := make([]rune, 0, len(cwd))
	for _, r := range cwd {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			munged = append(munged, r)
		case r > 0xffff: // two units of UTF-16
			munged = append(munged, '-', '-')
		default:
			munged = append(munged, '-')
		}
	}
	return filepath.Join(configDir, "projects", string(munged), id+".jsonl")
}

// refusal is the text with which a start is refused. It is the real program's, word
// for word.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// openTranscript finds the session that the options name.
func openTranscript(o echo.Options) (*transcript, error) {
	valid := uuidForm.MatchString(o.SessionID)
	switch {
	case !valid && o.Resume:
		return nil, refuse("Error: --resume requires a valid session ID or session title when used with --print. Usage: claude -p --resume <session-id|title>. Provided value %q is not a UUID and does not match any session title.", o.SessionID)
	case !valid:
		return nil, refuse("Error: Invalid session ID. Must be a valid UUID.")
	}
	config := os.Getenv("CLAUDE_CONFIG_DIR")
	if config == "" {
		config = filepath.Join(os.Getenv("HOME"), ".claude")
	}
	cwd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(cwd); err == nil {
		cwd = real
	}
	t := &transcript{path: TranscriptPath(config, cwd, o.SessionID), id: o.SessionID, cwd: cwd, uuids: map[string]bool{}}
	err = t.load()
	switch {
	case err == nil && !o.Resume:
		return nil, refuse("Error: Session ID %s is already in use.", o.SessionID)
	case errors.Is(err, fs.ErrNotExist) && o.Resume, err == nil && !t.said:
		return nil, refuse("No conversation found with session ID: %s", o.SessionID)
	case errors.Is(err, fs.ErrNotExist):
		return t, nil
	}
	return t, err
}

// load reads the file.
func (t *transcript) load() error {
	f, err := os.Open(t.path)
	if errors.Is(err, syscall.ENOTDIR) {
		return fs.ErrNotExist
	}
	if err != nil {
		return err
	}
	defer f.Close()
	br := bufio.NewReader(f)
	for {
		line, err := br.ReadBytes('\n')
		if err != nil {
			return nil // the last line may be torn
		}
		var r record
		var c costRecord
		var text string
		if json.Unmarshal(line, &c) == nil && c.Type == "cost-state" {
			t.sum = c.Sum
		}
		if json.Unmarshal(line, &r) != nil || r.Type != "user" {
			continue
		}
		if t.said = true; json.Unmarshal(r.Message.Content, &text) == nil {
			t.users = append(t.users, text)
			t.uuids[r.UUID] = true
		}
	}
}

// seen reports whether a message with that id was taken before; the real program
// ignores such a message.
func (t *transcript) seen(uuid string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return uuid != "" && t.uuids[uuid]
}

// user records a message.
func (t *transcript) user(m echo.Message) {
	if m.UUID == "" {
		m.UUID = echo.NewUUID()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.users = append(t.users, m.Text)
	t.uuids[m.UUID] = true
	t.addLocked("user", m.UUID, toJSON(m.Text))
}

// assistant records an answer.
func (t *transcript) assistant(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addLocked("assistant", echo.NewUUID(), toJSON([]any{map[string]string{"type": "text", "text": text}}))
}

// cost records the cost of the session after r.
func (t *transcript) cost(sum echo.Sum, r *echo.Result) {
	if r != nil {
		sum.Cost += r.Cost
		sum.Input += r.Input
		sum.Output += r.Output
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending = append(t.pending, toJSON(costRecord{"cost-state", sum})+"\n"...)
}

// clear continues in the file of another session. As in the real program, the file has
// no message at first, so that it cannot be resumed, and then that of the command.
func (t *transcript) clear(id string) {
	t.flush()
	t.mu.Lock()
	t.path, t.id, t.users = filepath.Join(filepath.Dir(t.path), id+".jsonl"), id, nil
	t.pending = []byte(toJSON(map[string]string{"type": "mode", "mode": "normal", "sessionId": id}) + "\n")
	t.mu.Unlock()
	t.flush()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addLocked("user", echo.NewUUID(), toJSON([]any{map[string]string{"type": "text", "text": "/clear"}}))
}

// addLocked appends a record to the pending bytes. The caller must hold t.mu.
func (t *transcript) addLocked(role, uuid, content string) {
	t.pending = append(t.pending, toJSON(record{
		Type: role, UUID: uuid, SessionID: t.id, CWD: t.cwd, Timestamp: time.Now().UTC(),
		Message: recordMessage{Role: role, Content: json.RawMessage(content)},
	})+"\n"...)
}

// texts returns the user's messages, including those of earlier processes.
func (t *transcript) texts() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string{}, t.users...)
}

// flush writes the pending bytes.
func (t *transcript) flush() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.pending) == 0 {
		return
	}
	os.MkdirAll(filepath.Dir(t.path), 0o700)
	f, err := os.OpenFile(t.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	f.Write(t.pending)
	f.Close()
	t.pending = nil
}
