//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// sent is one message of a killing. No other has its text, so that the stub can
// tell how often it was run.
type sent struct {
	team, session string
	kind, text    string
	want          string // the answer; empty where the tool's own words are in it

	id  string
	err error
}

// kinds are the turns that a daemon is killed in. n is another one each time.
var kinds = map[string]func(m *sent, n int){
	"stream": func(m *sent, n int) {
		m.text, m.want = fmt.Sprintf("slow:40:%dus", 25_000+n), claudetest.SlowText(40)
	},
	"tool": func(m *sent, n int) {
		m.text = fmt.Sprintf(`tool:Bash:{"command":"sleep 2; echo m%d","description":"d"}`, n)
		m.want = fmt.Sprintf("tool said: m%d", n)
	},
	"background": func(m *sent, n int) {
		m.text = fmt.Sprintf(`tool:Bash:{"command":"sleep 1; echo m%d","description":"d","run_in_background":true}`, n)
	},
	"permission": func(m *sent, n int) {
		m.text = fmt.Sprintf(`after:500ms:tool:Write:{"file_path":"/nowhere/m%d","content":"x"}`, n)
	},
	"large": func(m *sent, n int) {
		m.text, m.want = fmt.Sprintf("after:600ms:size:%d", 200_000+n), claudetest.Text(200_000+n)
	},
	"hang": func(m *sent, n int) { m.text = fmt.Sprintf("hang:%d", n) },
	"echo": func(m *sent, n int) { m.want = fmt.Sprintf("m%d", n); m.text = "echo:" + m.want },
	"dump": func(m *sent, n int) { m.text = fmt.Sprintf("dump:%d", n) },
}

// unsuccessful is how a kind may end that is no success: nobody permits the tool, and an
// agent that leaves with its turn takes along what that has put beside it.
var unsuccessful = map[string]struct{ outcome, why string }{
	"permission": {"denied", "denied: Write"},
	"background": {"incomplete", "background work was ended with the agent: d"},
}

// message makes one, and notes it.
func (k *killing) message(team, session, kind string) *sent {
	k.serial++
	m := &sent{team: team, session: session, kind: kind}
	kinds[kind](m, k.serial)
	k.history[team+"@"+session] = append(k.history[team+"@"+session], m)
	return m
}

// submit hands messages in, one after the other. The key makes it safe to ask
// again when the daemon was killed before it had answered.
func (k *killing) submit(ms ...*sent) {
	for _, m := range ms {
		var st ipc.MessageState
		m.err = k.call(ipc.MethodSubmit, &ipc.Send{Team: m.team, Session: m.session, Text: m.text, Key: m.text}, &st)
		m.id = st.ID
	}
}

// say makes a message and submits it.
func (k *killing) say(team, kind string) *sent {
	k.T.Helper()
	m := k.message(team, "", kind)
	k.submit(m)
	if m.err != nil {
		k.Fatal(m.err)
	}
	return m
}

// asked waits until the model has received these messages.
func (k *killing) asked(ms ...*sent) {
	k.T.Helper()
	for _, m := range ms {
		k.until("the call of the model", func() bool { return k.runsOf(m.text) > 0 })
	}
}

// lost checks that a message that was run once is unknown.
func (k *killing) lost(m *sent) {
	k.T.Helper()
	_, text, err := k.reply(m)
	if wire, ok := errors.AsType[*ipc.Error](err); !ok || wire.Code != ipc.CodeUnknown {
		k.Errorf("%s to %s: got %q, %v, want unknown", m.kind, m.team, text, err)
	}
	if n := k.runsOf(m.text); n != 1 {
		k.Errorf("%s to %s was run %d times", m.kind, m.team, n)
	}
	k.unknown++
}

// reply waits for the end of a message.
func (k *killing) reply(m *sent) (r ipc.Reply, text string, err error) {
	if m.err != nil {
		return r, "", fmt.Errorf("not accepted: %w", m.err)
	}
	var st ipc.MessageState
	if err := k.call(ipc.MethodWait, &ipc.Wait{IDs: []string{m.id}}, &st); err != nil {
		return r, "", err
	}
	if err := k.call(ipc.MethodResult, &ipc.MessageRef{ID: m.id}, &r); err != nil {
		return r, "", err
	}
	return r, r.Text, nil
}

// settled checks that each message ends with its answer, after one run.
func (k *killing) settled(ms ...*sent) {
	k.T.Helper()
	errs := make([]error, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		wg.Go(func() { errs[i] = k.check(m) })
	}
	wg.Wait()
	for i, m := range ms {
		if wire, ok := errors.AsType[*ipc.Error](errs[i]); ok && wire.Code == ipc.CodeUnknown {
			k.unknown++
		}
		if errs[i] != nil {
			k.Errorf("after kill %d: %s to %s@%s, message %s: %v", k.kills, m.kind, m.team, m.session, m.id, errs[i])
		}
	}
}

func (k *killing) check(m *sent) error {
	r, text, err := k.reply(m)
	if err != nil {
		return err
	}
	if n := k.runsOf(m.text); n != 1 {
		return fmt.Errorf("it was run %d times", n)
	}
	if err := k.wayOf(m); err != nil {
		return err
	}
	if end := unsuccessful[m.kind]; r.Outcome != "success" && (end.outcome == "" || r.Outcome != end.outcome || !strings.HasPrefix(r.Error, end.why)) {
		return fmt.Errorf("outcome %s: %s", r.Outcome, r.Error)
	}
	want := m.want
	if want == "" {
		want = "tool said: " + k.saidIn(m.text)
	}
	if m.kind != "dump" && text != want {
		return fmt.Errorf("the answer of %d bytes is %.80q, not that of %d bytes, %.80q", len(text), text, len(want), want)
	}
	return nil
}

// wayOf records what a later daemon had to do for a message.
func (k *killing) wayOf(m *sent) error {
	var way ipc.Message
	if err := k.call(ipc.MethodShow, &ipc.MessageRef{ID: m.id}, &way); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, step := range way.History {
		switch {
		case step.By == "recovery":
			k.late["settled"]++
		case i > 0 && step.State == "queued":
			k.late["put back"]++
		}
	}
	return nil
}

// runsOf is how often a message began a turn, by the stub's log.
func (k *killing) runsOf(text string) (n int) {
	for _, r := range k.real.stub.Turns() {
		if r.User == text && !r.Continues {
			n++
		}
	}
	return n
}

// saidIn is what the tool said in the turn of a message.
func (k *killing) saidIn(text string) (said string) {
	for _, r := range k.real.stub.Turns() {
		if r.User == text && r.Continues {
			said = r.Said
		}
	}
	return said
}

// remembered asks conversations what they contain, and checks that it is each message
// once and in the order of acceptance.
func (k *killing) remembered(session string, teams ...string) {
	k.T.Helper()
	var asked []*sent
	for _, team := range teams {
		asked = append(asked, k.message(team, session, "dump"))
	}
	var wg sync.WaitGroup
	for _, m := range asked {
		wg.Go(func() { k.submit(m) })
	}
	wg.Wait()
	k.settled(asked...)
	for _, m := range asked {
		if err := k.recalls(m); err != nil {
			k.Errorf("after kill %d: %s@%s: %v", k.kills, m.team, m.session, err)
		}
	}
}

func (k *killing) recalls(m *sent) error {
	_, text, err := k.reply(m)
	if err != nil {
		return err
	}
	var texts, want []string
	if err := json.Unmarshal([]byte(text), &texts); err != nil {
		return err
	}
	all := slices.Clone(k.history[m.team+"@"+m.session])
	slices.SortFunc(all, func(a, b *sent) int { return strings.Compare(a.id, b.id) })
	for _, m := range all {
		want = append(want, m.text)
	}
	// The end of a background task speaks as a user too.
	texts = slices.DeleteFunc(texts, func(s string) bool { return strings.HasPrefix(s, "<task-notification>") })
	if !slices.Equal(texts, want) {
		return fmt.Errorf("the conversation holds %q, not %q", texts, want)
	}
	return nil
}
