package claude

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// QuestionTool is the tool by which an agent asks its user something. Permission for
// it needs the answers too.
const QuestionTool = "AskUserQuestion"

// Question is one question of a call of QuestionTool.
type Question struct {
	Text     string           `json:"question"`
	Header   string           `json:"header"` // a short title
	Multiple bool             `json:"multiSelect"`
	Options  []QuestionOption `json:"options"`
}

// QuestionOption is an answer that the agent proposes.
type QuestionOption struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Preview     string `json:"preview"`
}

// Questions returns the questions in the input of a tool call; none for other tools.
func Questions(tool string, input []byte) []Question {
	var m struct {
		Questions []Question `json:"questions"`
	}
	if tool != QuestionTool || json.Unmarshal(input, &m) != nil {
		return nil
	}
	return m.Questions
}

// AnswerQuestions returns the input of a call of QuestionTool with the answers added,
// one for each question in order. An answer is the label of an option, its number, or
// any other text; for a question with several answers, a list of these with commas.
func AnswerQuestions(input []byte, answers []string) ([]byte, error) {
	questions := Questions(QuestionTool, input)
	if len(questions) == 0 {
		return nil, errors.New("its questions cannot be read, it can only be denied")
	}
	if len(answers) != len(questions) {
		return nil, fmt.Errorf("it asks %s and got %s", counted(len(questions), "question"), counted(len(answers), "answer"))
	}
	line := []byte("{")
	members(input, func(key string, val json.RawMessage) bool {
		if key != "answers" && key != "annotations" { // a model does not answer itself
			line = append(append(append(line, quoted(key)...), ':'), val...)
			line = append(line, ',')
		}
		return true
	})
	line = append(line, `"answers":{`...)
	for i, q := range questions {
		said, err := q.resolve(answers[i])
		if err != nil {
			return nil, fmt.Errorf("answer %d %w", i+1, err)
		}
		if i > 0 {
			line = append(line, ',')
		}
		line = append(append(append(line, quoted(q.Text)...), ':'), quoted(said)...)
	}
	return append(line, "}}"...), nil
}

func counted(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

// resolve returns an answer in the words of the options. Claude Code accepts any
// text, and several labels as one text.
func (q *Question) resolve(answer string) (string, error) {
	answer = strings.TrimSpace(answer)
	switch {
	case answer == "":
		return "", errors.New("is empty")
	case !q.Multiple:
		return q.option(answer)
	}
	var picked []string
	for answer != "" {
		var one string
		one, answer = q.first(answer)
		if one == "" {
			continue
		}
		said, err := q.option(one)
		if err != nil {
			return "", err
		}
		if !slices.Contains(picked, said) {
			picked = append(picked, said)
		}
	}
	if picked == nil {
		return "", errors.New("is empty")
	}
	return strings.Join(picked, ", "), nil
}

// first splits off the first of several answers, which may be a label with a comma in
// it.
func (q *Question) first(answers string) (one, rest string) {
	end := strings.IndexByte(answers, ',')
	if end < 0 {
		end = len(answers)
	}
	for _, o := range q.Options {
		n := len(o.Label)
		if n > end && n <= len(answers) && strings.EqualFold(answers[:n], o.Label) {
			if rest := strings.TrimLeft(answers[n:], " "); rest == "" || rest[0] == ',' {
				end = len(answers) - len(rest)
			}
		}
	}
	return strings.TrimSpace(answers[:end]), strings.TrimLeft(answers[end:], ", ")
}

// option returns the label that an answer stands for, or the answer itself if it
// stands for none.
func (q *Question) option(answer string) (string, error) {
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for _, o := range q.Options {
			if same(strings.TrimSpace(o.Label), answer) {
				return o.Label, nil
			}
		}
	}
	n, err := strconv.ParseUint(answer, 10, 32)
	switch {
	case err != nil || len(q.Options) == 0:
		return answer, nil
	case n == 0 || n > uint64(len(q.Options)):
		return "", fmt.Errorf("is not the number of an option: there are %d", len(q.Options))
	}
	return q.Options[n-1].Label, nil
}
