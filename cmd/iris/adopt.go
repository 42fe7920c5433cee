package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"iris/config"
	"iris/ipc"
)

// A successor is a team that gets the conversations of another name: of a directory
// that becomes a team, or of a team that is renamed.
type successor struct {
	*globals
	from string // empty for none
	to   string

	notes []string // what the user should know of it
}

// check finds out whether the conversations can be moved, before anything is changed.
func (s *successor) check(ctx context.Context) error {
	_, err := s.move(ctx, true)
	return err
}

// take moves the conversations and returns how many there were.
func (s *successor) take(ctx context.Context) (int, error) {
	moved, err := s.move(ctx, false)
	return len(moved), err
}

func (s *successor) move(ctx context.Context, check bool) ([]ipc.Conversation, error) {
	p, err := s.paths()
	if err != nil || s.from == "" {
		return nil, err
	}
	if _, err := os.Stat(p.Journal); err != nil {
		return nil, nil // no conversation is on record, so that no daemon need be started
	}
	moved, err := s.verbs().Move(ctx, ipc.Move{From: s.from, To: s.to, Check: check})
	if ipc.ReasonOf(err) == "other-configuration" {
		return nil, nil // its teams are others
	}
	return moved, err
}

// claim looks at what a directory is before it becomes the team of that name. It notes
// which other teams have it; if there are none, the team gets its conversations.
func (g *globals) claim(cfg *config.Config, team, dir string) (successor, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return successor{}, usagef("name the directory by its full path", "the working directory is gone")
	}
	s := successor{globals: g, to: team}
	others := slices.DeleteFunc(cfg.TeamsAt(abs), func(other string) bool { return other == team })
	if len(others) == 0 {
		s.from = config.DirName(abs)
	} else { // messages to the directory went to one of them
		s.notes = append(s.notes, fmt.Sprintf("note: %s is also the directory of %s: in it, name a team in place of \".\"", tilde(abs, os.Getenv("HOME")), teamsText(others)))
	}
	return s, nil
}

func teamsText(names []string) string {
	if len(names) == 1 {
		return "team " + names[0]
	}
	return "the teams " + strings.Join(names, ", ")
}

// mayTake is check for a new team. A conversation of its own that it has already, of
// a team of the same name before, stays: then it takes none.
func (s *successor) mayTake(ctx context.Context) error {
	err := s.check(ctx)
	if ipc.ReasonOf(err) != "conversation-exists" {
		return err
	}
	s.from = ""
	s.notes = append(s.notes, fmt.Sprintf("note: %s; it goes on with its own", err),
		fmt.Sprintf("hint: \"iris session reset %s\", then \"iris team add --force %s DIR\" takes over that of the directory", s.to, s.to))
	return nil
}

// adoptedText says how many conversations a new team has taken over.
func adoptedText(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "; it has taken over the conversation of the directory"
	}
	return fmt.Sprintf("; it has taken over the %d conversations of the directory", n)
}
