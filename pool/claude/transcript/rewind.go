package transcript

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
)

// A Rewind is where a conversation continues when its last turns are taken back.
type Rewind struct {
	At    string // id of the answer that is then the last
	Turns int    // number of turns taken back
	Last  string // the user's text that this answer answers
}

// ErrNoRewind says that no answered turn would be left in the conversation.
var ErrNoRewind = errors.New("no answer would be left in it")

// FindRewind reads a transcript and finds where the conversation continues without
// its last n turns; with n 0, without the last turn and the turns right before it
// that the API refused. from is the last answer of a conversation that was rewound
// before; empty for its real end. Nothing is changed: see claude.Options.RewindTo.
func FindRewind(transcript, from string, n int) (Rewind, error) {
	turns, err := readTurns(transcript, from)
	if err != nil {
		return Rewind{}, err
	}
	keep := max(0, len(turns)-max(n, 1))
	for n == 0 && keep > 0 && turns[keep-1].refused {
		keep--
	}
	if keep == 0 || turns[keep-1].answer == "" {
		return Rewind{}, ErrNoRewind
	}
	return Rewind{At: turns[keep-1].answer, Turns: len(turns) - keep, Last: turns[keep-1].said}, nil
}

// A pastTurn is a turn in a transcript.
type pastTurn struct {
	said    string // by the user
	answer  string // id of the last line of the model
	refused bool   // that line is an error of the API
}

// readTurns returns the turns of a conversation, oldest first.
func readTurns(transcript, from string) ([]pastTurn, error) {
	lines, last, err := readTranscript(transcript)
	if err != nil {
		return nil, err
	}
	if from == "" {
		from = last
	}
	var way []*pastLine
	for l := lines[from]; l != nil; l = lines[l.Parent] {
		way = append(way, l)
		delete(lines, l.ID) // ends a circle
	}
	var turns []pastTurn
	for i := len(way) - 1; i >= 0; i-- {
		switch l := way[i]; {
		case l.Type == "user" && l.prompts():
			turns = append(turns, pastTurn{said: l.text()})
		case l.Type == "assistant" && len(turns) > 0:
			t := &turns[len(turns)-1]
			t.answer, t.refused = l.ID, l.Refused
		}
	}
	return turns, nil
}

// A pastLine is a line of a transcript, with the members that link it to others.
type pastLine struct {
	Type    string `json:"type"`
	ID      string `json:"uuid"`
	Parent  string `json:"parentUuid"`
	Aside   bool   `json:"isSidechain"` // a subagent's
	Meta    bool   `json:"isMeta"`      // the program's own
	Refused bool   `json:"isApiErrorMessage"`
	Message struct {
		Content json.RawMessage `json:"content"`
	} `json:"message"`
}

// readTranscript returns the lines of the conversation by their ids, and the id of
// the last. It ignores lines that are not JSON, as the program does.
func readTranscript(path string) (lines map[string]*pastLine, last string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	lines = map[string]*pastLine{}
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		l := new(pastLine)
		if json.Unmarshal(line, l) == nil && l.ID != "" && !l.Aside {
			if l.Type != "user" {
				l.Message.Content = nil
			}
			lines[l.ID] = l
			last = l.ID
		}
		if errors.Is(err, io.EOF) {
			return lines, last, nil
		} else if err != nil {
			return nil, "", err
		}
	}
}

// prompts reports whether a user line begins a turn, and is not the result of a tool
// or a note of the program.
func (l *pastLine) prompts() bool {
	return !l.Meta && !strings.Contains(string(l.Message.Content), `"type":"tool_result"`) && l.text() != "[Request interrupted by user]"
}

// text is the first text in the line.
func (l *pastLine) text() string {
	var s string
	if json.Unmarshal(l.Message.Content, &s) == nil {
		return s
	}
	var blocks []struct {
		Text string `json:"text"`
	}
	json.Unmarshal(l.Message.Content, &blocks)
	for _, b := range blocks {
		if b.Text != "" {
			return b.Text
		}
	}
	return ""
}
