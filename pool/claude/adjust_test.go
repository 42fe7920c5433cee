//go:build linux

package claude

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"iris/pool/turn"
)

// wants sends a text with a variant and checks that word is in the answer; an empty
// word stands for a denied tool.
func wants(t *testing.T, p *Process, v turn.Variant, text, word string) {
	t.Helper()
	res, err := p.Send(t.Context(), &Message{Text: text, Variant: v})
	if err != nil {
		t.Fatalf("%.60s: %v", text, err)
	}
	if denied := len(res.Denials) > 0; denied != (word == "") || !strings.Contains(res.Text, word) {
		t.Errorf("%+v: %.60s: got %s %q, want %q", v, text, res.Outcome, res.Text, word)
	}
}

// A mode, an effort and allowed tools of one message are there in its turn and gone
// in the next one, and nothing of it is in the conversation.
func TestRealWarmVariants(t *testing.T) {
	r := realRig(t)
	r.o.Args = []string{"--effort=low", `--settings={"permissions":{"allow":["Bash(echo:*)"]}}`}
	p := r.start()
	const touch = `tool:Bash:{"command":"touch made","description":"d"}`
	usual := turn.Variant{}
	wants(t, p, usual, "effort:a", "effort low")
	wants(t, p, usual, touch, "")
	wants(t, p, turn.Variant{Effort: "max"}, "effort:b", "effort max")
	wants(t, p, turn.Variant{Effort: "high", AllowedTools: "Bash(touch:*),Edit"}, touch, "tool said")
	wants(t, p, turn.Variant{AllowedTools: "Bash(touch *) Write"}, "effort:c", "effort low")
	wants(t, p, usual, touch, "")
	wants(t, p, usual, `tool:Bash:{"command":"echo still","description":"d"}`, "still")
	wants(t, p, usual, "effort:d", "effort low")
	wants(t, p, turn.Variant{PermissionMode: "acceptEdits"}, touch, "tool said")
	if p.SetsMode() {
		if odd := p.OddMode(); odd != "" {
			t.Errorf("the mode is still %s", odd)
		}
		wants(t, p, usual, touch, "")
	}
	wants(t, p, turn.Variant{PermissionMode: "default"}, touch, "")
	var texts []string
	if err := json.Unmarshal([]byte(send(t, p, "dump").Text), &texts); err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if !strings.HasPrefix(text, "tool:") && !strings.HasPrefix(text, "effort:") && text != "dump" {
			t.Errorf("the conversation has %q", text)
		}
	}
}

// A turn in which the agent changes its mode by itself changes it for no later
// message.
func TestRealModeOfATurnEndsWithIt(t *testing.T) {
	r := realRig(t)
	r.o.Ask = true // without, the tool is not offered
	p := r.start()
	begun := begin(t, t.Context(), p, `tool:EnterPlanMode:{}`, `"permissionMode":"plan"`)
	if res, err := begun.wait(t); err != nil || res.Outcome != turn.Success {
		t.Fatalf("%+v, %v", res, err)
	}
	next := begin(t, t.Context(), p, "echo:x", `"subtype":"init"`)
	next.wait(t)
	if init := next.lines[slices.IndexFunc(next.lines, func(l string) bool { return strings.Contains(l, `"subtype":"init"`) })]; !strings.Contains(init, `"permissionMode":"default"`) {
		t.Errorf("the next turn began with %s", init)
	}
	if p.Mode() != "default" || p.OddMode() != "" {
		t.Errorf("mode %q, odd %q", p.Mode(), p.OddMode())
	}
}

// When a process is handed over, the settings of its message are taken back later.
func TestRealTuningIsHandedOver(t *testing.T) {
	r := realRig(t)
	r.o.Args = nil
	p := r.start()
	if !p.SetsMode() {
		t.Skip("this version does not name its mode at the start")
	}
	path, open := gate(t)
	v := turn.Variant{PermissionMode: "acceptEdits", Effort: "low", AllowedTools: "Bash(id)"}
	begun := make(chan struct{})
	once := sync.OnceFunc(func() { close(begun) })
	sendingAs(t, context.Background(), p, "slow:2:@"+path, &v, func(line string) {
		if strings.Contains(line, `"init"`) {
			once()
		}
	})
	<-begun
	q := r.adopted(p)
	if q.OddMode() != "acceptEdits" || !q.SetsMode() {
		t.Errorf("odd mode %q", q.OddMode())
	}
	open()
	rejoin(t, t.Context(), q)
	if q.OddMode() != "" || q.tuning.Effort != "" || q.tuning.Tools != "" {
		t.Errorf("left: %+v", q.tuning)
	}
	wants(t, q, turn.Variant{}, `tool:Bash:{"command":"touch made","description":"d"}`, "")
}

func TestToolRules(t *testing.T) {
	for list, want := range map[string][]string{
		"":                             {},
		" , ":                          {},
		"Edit":                         {"Edit"},
		"Edit,Write Read":              {"Edit", "Write", "Read"},
		"Bash(git log *),Edit":         {"Bash(git log *)", "Edit"},
		"Bash(a (b, c) d) mcp__x__y,,": {"Bash(a (b, c) d)", "mcp__x__y"},
		"Bash(git":                     {"Bash(git"},
		"a)b c":                        {"a)b", "c"},
	} {
		if got := ToolRules(list); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", list, got, want)
		}
	}
}

// What another session sends to an agent by itself begins a turn in it only where
// that is wanted. The first message's own settings leave that as it is.
func TestRealInbound(t *testing.T) {
	for _, refuse := range []bool{true, false} {
		r := realRig(t)
		r.o.RefuseInbound = refuse
		r.o.Args = []string{`--settings={"permissions":{"allow":["SendMessage","ListAgents"]}}`}
		p := r.start()
		wants(t, p, turn.Variant{Effort: "max", AllowedTools: "Edit"}, "effort:x", "effort max")
		s, _, err := readSessionFile(filepath.Join(ConfigDir(r.o.Env), "sessions", strconv.Itoa(p.PID())+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if s.Inbox == "" {
			t.Skip("this version has no inbox")
		}
		r.o.ID, r.o.SessionID, r.o.Dir = r.o.ID+"o", NewSessionID(), realDir(t)
		q := r.start()
		send(t, q, fmt.Sprintf(`tool:SendMessage:{"to":%q,"summary":"s","message":"echo:past iris"}`, "uds:"+s.Inbox))
		// Either the one is asked something, or the other is told why not.
		asked, told := false, false
		eventually(t, "the end of that message", func() bool {
			for _, req := range r.stub.Turns() {
				asked = asked || req.Session == p.Session() && strings.Contains(req.User, "past iris")
				told = told || req.Session == q.Session() && strings.Contains(req.User, "was refused")
			}
			return asked || told
		})
		if asked == refuse {
			t.Errorf("refused: %v; a turn began: %v", refuse, asked)
		}
	}
}

// A part of the system prompt that one message has is in its turn and in no other:
// not when the conversation was there before it, and not when it has begun it.
func TestRealSystemPromptOfOneMessage(t *testing.T) {
	for _, first := range []string{"", "BE-POLITE"} {
		r := realRig(t)
		prompts := []string{first, "BE-SHORT", "", "BE-POLITE", ""}
		for i, prompt := range prompts {
			r.o.ID, r.o.Variant.AppendSystemPrompt = fmt.Sprint("p", i), prompt
			p := r.start()
			text := send(t, p, "ctx").Text
			for _, word := range []string{"BE-POLITE", "BE-SHORT"} {
				if strings.Contains(text, word) != (word == prompt) {
					t.Errorf("message %d of %q: prompt has %s: %v", i, prompts, word, strings.Contains(text, word))
				}
			}
			p.Stop()
			p.ResultRecorded()
		}
	}
}
