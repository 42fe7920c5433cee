package claude

import (
	"encoding/json"
	"strings"
	"testing"

	"iris/pool/turn"
)

const colorAndDays = `{"questions":[{"question":"Which \"color\"?","header":"Color","multiSelect":false,` +
	`"options":[{"label":"Red","description":"r"},{"label":"2","description":"b","preview":"x\ny"}]},` +
	`{"question":"Which days?","header":"Days","multiSelect":true,` +
	`"options":[{"label":"Mon","description":"m"},{"label":"Tue, late","description":"t"},{"label":"Tue","description":"e"}]}]`

func TestAnswersBecomeInput(t *testing.T) {
	for _, c := range []struct{ color, days, wantColor, wantDays, err string }{
		{"Red", "Mon", "Red", "Mon", ""},
		{" red ", "mon,tue", "Red", "Mon, Tue", ""},
		{"1", "1,2", "Red", "Mon, Tue, late", ""},
		{"2", "3 , 2,3", "2", "Tue, Tue, late", ""}, // the label comes before the number
		{"purple, with <dots>", "Tue, late", "purple, with <dots>", "Tue, late", ""},
		{"1 and 2", "Tue, early, Mon,", "1 and 2", "Tue, early, Mon", ""},
		{"ü\n\x1b", "tue, LATE , mon", "ü\n\x1b", "Tue, late, Mon", ""},
		{"3", "1", "", "", "answer 1 is not the number of an option: there are 2"},
		{"0", "1", "", "", "answer 1 is not the number of an option: there are 2"},
		{"1", "1,4", "", "", "answer 2 is not the number of an option: there are 3"},
		{" ", "1", "", "", "answer 1 is empty"},
		{"1", " , ,", "", "", "answer 2 is empty"},
	} {
		got, err := AnswerQuestions([]byte(colorAndDays+`,"answers":{"Which days?":"never"},"annotations":{}, "m":{ "x":1.50}}`), []string{c.color, c.days})
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%q, %q: got %s, %v", c.color, c.days, got, err)
			}
			continue
		}
		var m struct{ Answers map[string]string }
		if err != nil || json.Unmarshal(got, &m) != nil || m.Answers[`Which "color"?`] != c.wantColor || m.Answers["Which days?"] != c.wantDays {
			t.Errorf("%q, %q: got %s, %v", c.color, c.days, got, err)
		}
		if s := string(got); !strings.HasPrefix(s, colorAndDays+`,"m":{ "x":1.50},"answers":{`) || strings.Count(s, "answers") != 1 {
			t.Errorf("got %s", s)
		}
	}
}

func TestAnswersAreOneForEachQuestion(t *testing.T) {
	for input, want := range map[string]string{
		colorAndDays + "}":    "it asks 2 questions and got 1 answer",
		`{"questions":[]}`:    "its questions cannot be read, it can only be denied",
		`{"questions":{}}`:    "its questions cannot be read, it can only be denied",
		`{"questions":"what"`: "its questions cannot be read, it can only be denied",
	} {
		if got, err := AnswerQuestions([]byte(input), []string{"x"}); err == nil || err.Error() != want {
			t.Errorf("%s: got %s, %v", input, got, err)
		}
	}
	if q := Questions("Bash", []byte(colorAndDays+"}")); q != nil {
		t.Errorf("another tool asks %v", q)
	}
}

func TestRealQuestionIsAnswered(t *testing.T) {
	a := realAsking(t)
	p := a.start()
	a.call = "tool:AskUserQuestion:" + colorAndDays + "}"
	for _, c := range []struct{ color, days, want string }{
		{"1", "3,2", `"Which "color"?"="Red", "Which days?"="Tue, Tue, late"`},
		{"purple\nwith \"dots\"", "Tue, early", "\"Which \"color\"?\"=\"purple\nwith \"dots\"\", \"Which days?\"=\"Tue, early\""},
	} {
		u, q := a.pending(t.Context(), p)
		if got := Questions(q.Tool, q.Input); len(got) != 2 || got[0].Header != "Color" || !got[1].Multiple || got[1].Options[1].Label != "Tue, late" {
			t.Errorf("got %+v", got)
		}
		input, err := AnswerQuestions(q.Input, []string{c.color, c.days})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.AnswerWithInput(q.ID, input); err != nil {
			t.Fatal(err)
		}
		if res, err := u.wait(t); err != nil || res.Outcome != turn.Success || !strings.Contains(res.Text, c.want) {
			t.Errorf("got %+v, %v", res, err)
		}
	}
	u, q := a.pending(t.Context(), p)
	if err := p.Answer(q.ID, true, ""); err != nil {
		t.Fatal(err)
	}
	if res, err := u.wait(t); err != nil || !strings.Contains(res.Text, "did not answer") {
		t.Errorf("allowed without answers: %+v, %v", res, err)
	}
}
