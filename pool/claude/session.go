package claude

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// NewSessionID returns a fresh UUID, version 4.
func NewSessionID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Transcript returns the file of a conversation; empty when there is none, so
// that it is begun and not resumed. The error says that nobody can look. The
// transcript reaches the disk up to 110 ms after the result, but always before a
// clean exit.
func Transcript(env []string, sessionID string) (path string, err error) {
	projects := filepath.Join(configDir(env), "projects")
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

// ResumeError says that a conversation cannot be resumed, and that it may be
// where it was left all the same.
type ResumeError struct {
	SessionID string
	Why       string
}

func (e *ResumeError) Error() string {
	return fmt.Sprintf("conversation %s cannot be resumed: %s", e.SessionID, e.Why)
}

// holder returns a live Claude Code process that has the conversation open, or
// 0. Claude Code itself lets two processes go on with one conversation, each
// without what the other does. Such a process has a file of its id and start
// time in sessions/, which a killed one leaves behind.
func holder(env []string, sessionID string) int {
	files, _ := filepath.Glob(filepath.Join(globQuote(configDir(env)), "sessions", "*.json"))
	for _, file := range files {
		var s struct {
			PID     int    `json:"pid"`
			Session string `json:"sessionId"`
			Start   string `json:"procStart"`
		}
		b, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(b, &s) != nil || s.Session != sessionID {
			continue
		}
		start, err := strconv.ParseUint(s.Start, 10, 64)
		if p := (procID{s.PID, start}); err == nil && p.alive() {
			return s.PID
		}
	}
	return 0
}

// configDir is where Claude Code keeps what it knows.
func configDir(env []string) string {
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
