package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

// A prompter asks the person at the terminal about tool calls that need permission
// while a command waits for their messages. The terminal stays in its usual mode:
// Ctrl-C ends the wait as usual, and the tool call still waits. A nil prompter asks
// nothing.
type prompter struct {
	globals *globals
	in      *terminal.Input
	out     io.Writer
	status  *terminal.StatusLine // of the same terminal; nil for none

	wg      sync.WaitGroup // the goroutine that asks, while there is a question
	closing sync.Once

	mu        sync.Mutex // protects the fields below
	queue     []ipc.Approval
	busy      bool              // the goroutine is running
	over      bool              // no more questions
	decisions map[string]string // decisions that were made elsewhere
}

// newPrompter returns a prompter if a person can be asked: standard input and error
// are both terminals.
func newPrompter(g *globals, stdin io.Reader, stderr io.Writer) *prompter {
	f, ok := stdin.(*os.File)
	if !ok || !terminal.Is(f) || !terminal.Is(stderr) {
		return nil
	}
	in, err := terminal.NewInput(f)
	if err != nil {
		return nil
	}
	return &prompter{globals: g, in: in, out: stderr, decisions: map[string]string{}}
}

// asked adds a waiting approval. It does not block. After a restart of the daemon the
// same approval comes again.
func (p *prompter) asked(a ipc.Approval) {
	if p == nil || a.ID == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.queuedLocked(a.ID) {
		return
	}
	p.queue = append(p.queue, a)
	if !p.busy {
		p.busy = true
		p.wg.Go(p.run)
	}
}

// decided records a decision made elsewhere. It does not block.
func (p *prompter) decided(a ipc.Approval) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queuedLocked(a.ID) {
		p.decisions[a.ID] = decisionText(&a)
		p.in.Wake()
	}
}

func (p *prompter) queuedLocked(id string) bool {
	return slices.ContainsFunc(p.queue, func(q ipc.Approval) bool { return q.ID == id })
}

// close ends the asking and waits for it. Undecided approvals still wait. A second
// call does nothing.
func (p *prompter) close() {
	if p == nil {
		return
	}
	p.closing.Do(p.end)
}

func (p *prompter) end() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.in.Wake()
	p.wg.Wait()
	p.in.Close()
}

// run asks about one approval after another.
func (p *prompter) run() {
	for a := p.next(); a != nil; a = p.next() {
		p.ask(a)
		p.mu.Lock()
		p.queue = p.queue[1:]
		delete(p.decisions, a.ID)
		p.mu.Unlock()
	}
}

func (p *prompter) next() *ipc.Approval {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) > 0 && !p.over {
		a := p.queue[0]
		if p.decisions[a.ID] == "" {
			return &a
		}
		p.queue = p.queue[1:]
		delete(p.decisions, a.ID)
	}
	p.busy = false
	return nil
}

// ask asks about one approval and sends the answer. An invalid answer is asked for
// again.
func (p *prompter) ask(a *ipc.Approval) {
	defer p.status.Hold()()
	if p.in.Foreground() {
		p.in.Discard() // earlier input is no answer
		io.WriteString(p.out, approvalText(a, time.Now()))
	} else {
		say(p.out, "approval %s waits: %s of team %s; \"iris approvals %s\" shows it", a.ID, a.Tool, ipc.Name(a.Team, a.Session), a.ID)
	}
	for again := true; again; {
		d, err := p.answer(a)
		if err != nil {
			fmt.Fprintln(p.out)
			p.unanswered(a, err)
			return
		}
		decided, err := p.globals.decide(context.Background(), d)
		switch {
		case err != nil:
			report(p.out, err)
		case d.Always:
			say(p.out, "%s", alwaysText(&decided))
		}
		again = ipc.ReasonOf(err) == "bad-answer" || ipc.ReasonOf(err) == "not-offered"
	}
}

// answer reads the decision: about permission, or an answer to each question. An
// empty answer to a question denies the tool.
func (p *prompter) answer(a *ipc.Approval) (ipc.Decide, error) {
	if len(a.Questions) == 0 {
		choices := "y/N/why"
		if len(a.Always) > 0 {
			choices = "y/N/always/why"
		}
		line, err := p.prompt(a.ID, "allow? ["+choices+"] ")
		return decision(a.ID, line), err
	}
	d := ipc.Decide{ID: a.ID, Allow: true}
	for i := range a.Questions {
		line, err := p.prompt(a.ID, answerPrompt(a.Questions, i))
		if err != nil {
			return d, err
		}
		if line = strings.TrimSpace(line); line == "" {
			return ipc.Decide{ID: a.ID}, nil
		}
		d.Answers = append(d.Answers, strings.ToValidUTF8(line, "\uFFFD"))
	}
	return d, nil
}

// answerPrompt asks for the answer to a question.
func answerPrompt(questions []ipc.Question, i int) string {
	which, how := "", "number or text"
	if len(questions) > 1 {
		which = fmt.Sprintf(" to question %d", i+1)
	}
	if questions[i].Multiple {
		how = "numbers or text, with commas"
	}
	return fmt.Sprintf("answer%s? [%s; empty denies] ", which, how)
}

// prompt prints some words and reads a line, in the foreground.
func (p *prompter) prompt(id, words string) (string, error) {
	if p.in.Foreground() {
		io.WriteString(p.out, words)
	}
	return p.in.Line(func() error { return p.still(id) })
}

// decision interprets an answer. Only a plain yes or always allows.
func decision(id, line string) ipc.Decide {
	d := ipc.Decide{ID: id}
	switch line = strings.TrimSpace(line); strings.ToLower(line) {
	case "y", "yes":
		d.Allow = true
	case "a", "always":
		d.Allow, d.Always = true, true
	case "", "n", "no":
	default:
		d.Reason = strings.ToValidUTF8(line, "\uFFFD")
	}
	return d
}

// Why a question gets no answer, besides the end of the input.
var (
	errElsewhere = errors.New("decided elsewhere")
	errEnded     = errors.New("the wait has ended")
)

// unanswered says what becomes of an approval without an answer.
func (p *prompter) unanswered(a *ipc.Approval, err error) {
	p.mu.Lock()
	why := p.decisions[a.ID]
	p.over = p.over || !errors.Is(err, errElsewhere)
	p.mu.Unlock()
	switch {
	case errors.Is(err, errElsewhere):
		if p.in.Foreground() {
			p.in.Discard() // keep half an answer from the shell
		}
		say(p.out, "approval %s %s", a.ID, why)
	case !errors.Is(err, errEnded):
		say(p.out, "approval %s still waits; %s", a.ID, allowedBy(a))
	}
}

// allowedBy names the command that allows a tool call.
func allowedBy(a *ipc.Approval) string {
	if len(a.Questions) > 0 {
		return fmt.Sprintf("\"iris approve %s%s\" answers it", a.ID, strings.Repeat(" --answer TEXT", len(a.Questions)))
	}
	return fmt.Sprintf("\"iris approve %s\" allows it", a.ID)
}

// decisionText says how an approval was decided elsewhere.
func decisionText(a *ipc.Approval) string {
	if a.Decision == "expired" {
		return "was denied at its deadline"
	}
	return "was " + a.Decision + " by " + a.By
}

// still returns why a question need no longer be answered.
func (p *prompter) still(id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.decisions[id] != "": // the wait often ends because of the decision
		return errElsewhere
	case p.over:
		return errEnded
	}
	return nil
}
