package claude

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"iris/pool/procs"
)

// NewSessionID returns a fresh UUID, version 4.
func NewSessionID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Transcript returns the file of a conversation; empty if there is none: then the
// conversation is begun, not resumed. An error means that nobody can tell. The
// transcript reaches the disk up to 110 ms after the result, but always before a
// clean exit.
func Transcript(env []string, sessionID string) (path string, err error) {
	return transcriptIn(ConfigDir(env), sessionID)
}

// transcriptIn is Transcript with the directory of Claude Code.
func transcriptIn(config, sessionID string) (path string, err error) {
	projects := filepath.Join(config, "projects")
	dirs, err := os.ReadDir(projects)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	for _, d := range dirs {
		path := filepath.Join(projects, d.Name(), sessionID+".jsonl")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", err
}

// maxTail is how many bytes of a transcript's end are read for the directory.
const maxTail = 256 << 10

// WorkedIn returns the directory of the last turn of a conversation, without symbolic
// links; empty if its transcript does not tell.
func WorkedIn(env []string, sessionID string) (dir string) {
	path, err := Transcript(env, sessionID)
	if err != nil || path == "" {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	tail, _ := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-maxTail), maxTail))
	for line := range bytes.Lines(tail) {
		var m struct {
			Dir string `json:"cwd"`
		}
		if json.Unmarshal(line, &m) == nil && m.Dir != "" {
			dir = m.Dir
		}
	}
	return dir
}

// ResumeError says that a conversation cannot be resumed, although it may still be
// there.
type ResumeError struct {
	SessionID string
	Why       string
	Missing   bool // Claude Code knows no conversation of that id here
}

func (e *ResumeError) Error() string {
	return fmt.Sprintf("conversation %s cannot be resumed: %s", e.SessionID, e.Why)
}

// A sessionFile is the file in sessions/ of a Claude Code process.
type sessionFile struct {
	PID     int    `json:"pid"`
	Session string `json:"sessionId"`
	Start   string `json:"procStart"`
	Inbox   string `json:"messagingSocketPath"` // a socket for other sessions; empty for none
}

// readSessionFile reads a sessionFile, and the identity of the process that wrote it.
func readSessionFile(path string) (s sessionFile, p procs.ID, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return s, p, err
	}
	return parseSessionFile(text)
}

func parseSessionFile(text []byte) (s sessionFile, p procs.ID, err error) {
	if err = json.Unmarshal(text, &s); err == nil {
		p.PID = s.PID
		p.Start, err = strconv.ParseUint(s.Start, 10, 64)
	}
	return s, p, err
}

// forgetProcess removes the files of a killed process in the directory of Claude
// Code: its session file, the key beside it and its inbox. A program that exits by
// itself does that. Nothing is removed unless the session file names this very
// process and the process is gone: its number may be used again.
func forgetProcess(config string, gone procs.ID) {
	if config == "" || gone.PID == 0 || gone.Alive() {
		return
	}
	dir, pid := filepath.Join(config, "sessions"), strconv.Itoa(gone.PID)
	path := filepath.Join(dir, pid+".json")
	s, p, err := readSessionFile(path)
	if err != nil || p != gone {
		return
	}
	if info, err := os.Lstat(s.Inbox); err == nil && info.Mode()&fs.ModeSocket != 0 && filepath.Base(s.Inbox) == pid+".sock" {
		os.Remove(s.Inbox)
	}
	keys, _ := filepath.Glob(filepath.Join(globQuote(dir), pid+".*.key"))
	for _, key := range append(keys, path) {
		os.Remove(key)
	}
}

// ConfigDir returns the directory of Claude Code's own files for an agent with that
// environment.
func ConfigDir(env []string) string {
	if dir := lookup(env, "CLAUDE_CONFIG_DIR"); dir != "" {
		return dir
	}
	return filepath.Join(lookup(env, "HOME"), ".claude")
}

// lookup returns the last value of name in env.
func lookup(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], name+"="); ok {
			return v
		}
	}
	return ""
}

// globQuote quotes s, so that filepath.Glob matches it literally.
func globQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}
