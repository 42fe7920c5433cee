package main

import (
	"fmt"
	"strings"
	"testing"
)

const twoQuestions = `{"questions":[{"question":"Which color?","header":"Color","multiSelect":false,` +
	`"options":[{"label":"Red","description":"as \u001b[2Jblood"},{"label":"Blue","description":"b"}]},` +
	`{"question":"Which days?","header":"Days","multiSelect":true,` +
	`"options":[{"label":"Mon","description":"m"},{"label":"Tue, late","description":"t"}]}]}`

// withQuestions runs a test with the scripted agent and with the real one; said
// reports whether the agent has been given these answers.
func withQuestions(t *testing.T, f func(t *testing.T, d *deciding, said func(answer, color, days string) bool)) {
	withBoth(t, "", func(t *testing.T, d *deciding) {
		real := strings.HasPrefix(d.call, "tool:")
		d.call = "ask:AskUserQuestion:" + twoQuestions
		if real {
			d.call = "tool:AskUserQuestion:" + twoQuestions
		}
		f(t, d, func(answer, color, days string) bool {
			want := fmt.Sprintf(`"answers":{"Which color?":"%s","Which days?":"%s"}`, color, days)
			if real {
				want = fmt.Sprintf(`"Which color?"="%s", "Which days?"="%s"`, color, days)
			}
			return strings.Contains(answer, want)
		})
	})
}

func TestRealQuestionIsAnsweredByCommand(t *testing.T) {
	t.Parallel()
	withQuestions(t, func(t *testing.T, d *deciding, said func(answer, color, days string) bool) {
		id := d.submit("api", d.call)
		a := d.pending()
		hint := "iris: hint: iris approve " + a.ID + " --answer TEXT --answer TEXT; \"iris approvals " + a.ID + "\" shows the options\n"
		d.want(2, "it asks 2 questions and got 0 answers\n"+hint, "approve", a.ID)
		d.want(2, "it asks 2 questions and got 1 answer\n"+hint, "approve", a.ID, "--answer", "Red")
		d.want(2, "answer 1 is not the number of an option: there are 2", "approve", a.ID, "--answer", "3", "--answer", "1")
		d.want(2, "answer 2 is empty", "approve", a.ID, "--answer", "1", "--answer=")
		if table := d.want(0, "", "approvals"); !strings.Contains(table, "Which color? 1 Red, 2 Blue; Which days? 1 Mon, 2 Tue, late") {
			t.Errorf("got %s", table)
		}
		shown := "question 1, Color:\n  | Which color?\n1 | Red\n  | as \\x1b[2Jblood\n2 | Blue\n  | b\n" +
			"question 2, Days (several answers):\n  | Which days?\n1 | Mon\n  | m\n2 | Tue, late\n  | t\n"
		if got := d.want(0, "", "approvals", a.ID); !strings.HasSuffix(got, shown) {
			t.Errorf("got %q, want %q", got, shown)
		}
		d.want(0, "", "approve", a.ID, "--answer", "a dark, dark green", "--answer", "2,mon")
		if got := d.answer(id); !said(got, "a dark, dark green", "Tue, late, Mon") {
			t.Errorf("got %q", got)
		}
		id = d.submit("api", d.call)
		d.want(0, "", "deny", d.pending().ID, "ask me later")
		if out := d.want(9, "iris: denied: AskUserQuestion\n", "wait", id); !strings.Contains(out, "the user has denied this: ask me later") {
			t.Errorf("got %q", out)
		}
	})
}

func TestOnlyAQuestionTakesAnAnswer(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	id := d.submit("api", d.call)
	d.want(2, "(Bash) asks no question, so it takes no answer", "approve", d.pending().ID, "--answer", "1")
	d.want(0, "", "approve", d.pending().ID)
	if got := d.answer(id); got != d.allowed {
		t.Errorf("got %q", got)
	}
	id = d.submit("api", `ask:AskUserQuestion:{"questions":"?"}`)
	a := d.pending()
	d.want(2, "its questions cannot be read, it can only be denied\niris: hint: iris deny "+a.ID+"\n", "approve", a.ID, "--answer", "1")
	d.want(2, "it can only be denied", "approve", a.ID)
	d.want(0, "", "deny", a.ID)
	d.want(9, "denied", "wait", id)
}

func TestRealQuestionIsAnsweredInPlace(t *testing.T) {
	t.Parallel()
	withQuestions(t, func(t *testing.T, d *deciding, said func(answer, color, days string) bool) {
		const first, second = "answer to question 1? [number or text; empty denies] ", "answer to question 2? [numbers or text, with commas; empty denies] "
		x := d.dialog("send", "api", d.call)
		if shown := x.until(first); !strings.Contains(shown, "1 | Red\r\n") || !strings.Contains(shown, "question 2, Days (several answers):\r\n") {
			t.Errorf("shown %q", shown)
		}
		x.types("7\n")
		x.until(second)
		x.types("1, 2\n")
		x.until("answer 1 is not the number of an option: there are 2")
		x.until(first)
		x.types("blue\n")
		x.until(second)
		x.types("1, 2\n")
		if code := x.exit(); code != 0 || !said(x.out.String(), "Blue", "Mon, Tue, late") {
			t.Errorf("status %d, %q", code, x.out.String())
		}
		x = d.dialog("send", "api", d.call)
		x.until(first)
		x.types("red\n")
		x.until(second)
		x.types("\n")
		if code := x.exit(); code != 9 || !strings.Contains(x.out.String(), "the user has denied this") {
			t.Errorf("status %d, %q", code, x.out.String())
		}
	})
}

// An answered question survives the program of the daemon.
func TestQuestionOfAnAgentOutlivesTheProgramOfTheDaemon(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	id := d.submit("api", "ask:AskUserQuestion:"+twoQuestions)
	before := d.pending()
	d.mustReplace()
	after := d.pending()
	if len(after.Questions) != 2 || after.ID != before.ID || after.Questions[1].Options[1] != before.Questions[1].Options[1] {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	d.want(0, "", "approve", "--answer=1", "--answer=1", after.ID)
	if got := d.answer(id); !strings.Contains(got, `"answers":{"Which color?":"Red","Which days?":"Mon"}`) {
		t.Errorf("got %q", got)
	}
}

// It can be answered from elsewhere while somebody is asked.
func TestQuestionOfAnAgentWaitsOn(t *testing.T) {
	t.Parallel()
	d := decidingFake(t, "")
	x := d.dialog("send", "api", "ask:AskUserQuestion:"+twoQuestions)
	x.until("question 1? ")
	x.types("\x04")
	a := d.pending()
	x.until(`still waits; "iris approve ` + a.ID + ` --answer TEXT --answer TEXT" answers it`)
	d.run("approve", a.ID, "--answer=1", "--answer=1")
	if code := x.exit(); code != 0 {
		t.Errorf("status %d", code)
	}
}
