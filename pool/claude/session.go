package claude

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
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
// that it is begun and not resumed. The transcript reaches the disk up to 110 ms
// after the result, but always before a clean exit.
func Transcript(env []string, sessionID string) string {
	root := lookup(env, "CLAUDE_CONFIG_DIR")
	if root == "" {
		root = filepath.Join(lookup(env, "HOME"), ".claude")
	}
	projects := filepath.Join(root, "projects")
	dirs, err := os.ReadDir(projects)
	if err != nil {
		return ""
	}
	for _, d := range dirs {
		path := filepath.Join(projects, d.Name(), sessionID+".jsonl")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
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
