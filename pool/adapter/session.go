package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"iris/config/sys"
)

// sessions is the directory, in iris's state directory, of the files that say which
// conversation of a program is which of iris.
const sessions = "adapters"

// session is a conversation of iris and its record.
type session struct {
	path string // of its file; empty: it is not kept

	ID   string  `json:"session"`            // the program's own id; empty as long as nothing was said in it
	Cost float64 `json:"cost_usd,omitempty"` // of all its turns, where the program tells
}

// openSession reads the record of a conversation. Without a state directory nothing is
// kept.
func openSession(state, id string) (*session, error) {
	if state == "" || id != filepath.Base(id) {
		return &session{}, nil
	}
	s := &session{path: filepath.Join(state, sessions, id+".json")}
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, s)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, sys.Cause(err))
	}
	return s, nil
}

// save makes the record durable.
func (s *session) save() error {
	if s.path == "" {
		return nil
	}
	data, err := json.Marshal(s)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(s.path), 0o700)
	}
	if err == nil {
		err = sys.WriteFile(s.path, append(data, '\n'), 0o600, true)
	}
	return err
}
