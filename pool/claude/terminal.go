package claude

import (
	"path/filepath"
	"strconv"
)

// A Terminal is a program in a person's terminal, in the conversation of an agent.
type Terminal struct {
	Path   string
	Args   []string // the name of the program first
	Env    []string // without what belongs to the terminal
	Dir    string
	Config string // the directory of Claude Code; empty for another program
}

// NewTerminal returns the program that a person is to run in the place of an agent with
// these options, which say of a start what they say of an agent's. With fork it works on a
// copy of the conversation. The error is an *OpenError if somebody else has the conversation
// open already.
func NewTerminal(o Options, fork bool) (*Terminal, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	path, err := o.program()
	if err != nil {
		return nil, programError{err}
	}
	transcript, err := Transcript(o.Env, o.SessionID)
	if err != nil {
		return nil, err
	}
	o.resume = transcript != ""
	args := append([]string{o.Command}, o.Prefix...)
	switch {
	case fork && o.resume:
		args = append(args, "--resume="+o.SessionID, "--fork-session")
	case o.resume:
		if err := o.elsewhere(); err != nil {
			return nil, err
		}
		args = append(args, "--resume="+o.SessionID)
	case !fork:
		args = append(args, "--session-id="+o.SessionID)
	}
	args = append(append(args, o.conversationModel()...), o.variantArgs()...)
	return &Terminal{path, args, o.environ(), o.Dir, ConfigDir(o.Env)}, nil
}

// SessionOf returns the conversation that a live Claude Code with that directory has open now:
// after /clear it is another one. It is empty if the process does not tell.
func SessionOf(config string, pid int) (sessionID string) {
	s, p, err := readSessionFile(filepath.Join(config, "sessions", strconv.Itoa(pid)+".json"))
	if err != nil || !p.Alive() || !ValidSessionID(s.Session) {
		return ""
	}
	return s.Session
}
