package claudetest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// conversationOf is a request as Claude Code makes it, with the last user's text last.
func conversationOf(stream bool, texts ...string) string {
	reminder := map[string]any{"type": "text", "text": "<system-reminder>\nthe marker is heliotrope\n</system-reminder>\n\n"}
	var messages []any
	for i, text := range texts {
		content := []any{map[string]any{"type": "text", "text": text}}
		if i == 0 {
			content = append([]any{reminder}, content...)
		}
		messages = append(messages, map[string]any{"role": "user", "content": content})
		if i < len(texts)-1 {
			messages = append(messages, map[string]any{"role": "assistant", "content": "x"})
		}
	}
	messages = append(messages, map[string]any{"role": "system", "content": "echo:not the user's"})
	return toJSON(map[string]any{
		"model": "m", "max_tokens": 64000, "stream": stream, "tools": []any{map[string]any{}},
		"system": []any{map[string]any{"type": "text", "text": "the rules"}}, "messages": messages,
	})
}

// post sends a request and returns the status and the text of the answer.
func post(t *testing.T, s *Stub, body string) (int, string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Post(s.URL+"/v1/messages?beta=true", "application/json", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		var m struct{ Content blocks }
		data, err := io.ReadAll(res.Body)
		json.Unmarshal(data, &m)
		return res.StatusCode, m.Content.text(), err
	}
	var text strings.Builder
	sc := bufio.NewScanner(res.Body)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var e struct{ Delta struct{ Text string } }
		if data, ok := strings.CutPrefix(sc.Text(), "data: "); ok && json.Unmarshal([]byte(data), &e) == nil {
			text.WriteString(e.Delta.Text)
		}
	}
	return res.StatusCode, text.String(), sc.Err()
}

func TestStubAnswersByTheLastTextOfTheUser(t *testing.T) {
	s := NewStub()
	defer s.Close()
	for _, c := range []struct{ text, want string }{
		{"echo:hello", "hello"}, {"slow:3:1ms", SlowText(3)}, {"size:40000", Text(40_000)}, {"count", "2"},
		{"dump", `["echo:earlier","dump"]`}, {"what", "ok: what"}, {"slow:x:y", "bad slow:N:DELAY"}, {"echo:", ""},
		{"after:1ms:echo:later", "later"}, {"after:x:echo:later", "bad after:DELAY:TEXT"},
		{"ctx", "the rules\n<system-reminder>\nthe marker is heliotrope\n</system-reminder>\n\n\necho:not the user's"},
	} {
		if code, got, err := post(t, s, conversationOf(true, "echo:earlier", c.text)); code != 200 || got != c.want || err != nil {
			t.Errorf("%q: got %d, %.100q, %v, want %.100q", c.text, code, got, err, c.want)
		}
	}
	if code, got, err := post(t, s, conversationOf(false, "echo:whole")); code != 200 || got != "whole" || err != nil {
		t.Errorf("without streaming: got %d, %q, %v", code, got, err)
	}
	if r := s.Turns()[0]; r.User != "echo:hello" || r.Messages != 4 || r.Tools != 1 || !r.Stream || r.Side {
		t.Errorf("log: got %+v", r)
	}
}

// talk is a request whose messages are, in turn, the user's and the model's. Each
// is a list of blocks as JSON.
func talk(messages ...string) string {
	var list []string
	for i, content := range messages {
		list = append(list, fmt.Sprintf(`{"role":%q,"content":%s}`, []string{"user", "assistant"}[i%2], content))
	}
	return `{"model":"m","stream":true,"tools":[{}],"messages":[` + strings.Join(list, ",") + `]}`
}

func textBlock(text string) string { return `{"type":"text","text":` + toJSON(text) + `}` }

func TestStubNotesWhatEndedInTheBackground(t *testing.T) {
	s := NewStub()
	defer s.Close()
	const note = "<task-notification>\n<status>completed</status>\n<summary>Agent d finished</summary>\n</task-notification>"
	withResult := strings.Replace(note, "</task", "<result>the answer</result>\n</task", 1)
	reminder := "<system-reminder>\n[SYSTEM NOTIFICATION - NOT USER INPUT]\n" + withResult + "\n</system-reminder>"
	asked, said := "["+textBlock("echo:earlier")+"]", "["+textBlock("earlier")+"]"
	for _, c := range []struct{ last, want string }{
		{textBlock(note), "noted: Agent d finished"},
		{textBlock(reminder), "noted: the answer"},
		{textBlock(note) + "," + textBlock(reminder), "noted: Agent d finished, the answer"},
		{textBlock(note) + "," + textBlock("dump"), `["echo:earlier","dump"]`},
		{textBlock("dump") + "," + textBlock(reminder), `["echo:earlier","dump"]`},
		{`{"type":"tool_result","content":"ran"},` + textBlock(reminder), "tool said: ran"},
	} {
		if _, got, err := post(t, s, talk(asked, said, "["+c.last+"]")); got != c.want || err != nil {
			t.Errorf("%.80q: got %q, %v, want %q", c.last, got, err, c.want)
		}
	}
	if r := s.Turns(); r[1].Notified != "the answer" || r[1].User != "" || r[3].Notified != "" || r[3].User != "dump" {
		t.Errorf("log: got %+v", r)
	}
}

func TestStubAnswersInSeveralSteps(t *testing.T) {
	s := NewStub()
	defer s.Close()
	const call = `[{"type":"tool_use","id":"i","name":"Bash","input":{}}]`
	const result = `[{"type":"tool_result","tool_use_id":"i","content":"ran"}]`
	list := "[" + textBlock("list:\nsay:one|tool:Bash:{}\ntool:Bash:{}\necho:three") + "]"
	limit := "[" + textBlock("<system-reminder>\n"+cutOff+". Resume.\n</system-reminder>") + "]"
	bare := "[" + textBlock(cutOff+". Resume.") + "]"
	for _, c := range []struct{ body, want string }{
		{talk(list), "one"},
		{talk(list, call, result), ""},
		{talk(list, call, result, call, result), "three"},
		{talk(list, call, result, call, result, call, result), "tool said: ran"},
		{talk("[" + textBlock("say:one") + "]"), "bad say:TEXT|tool:NAME:{json}"},
		{talk("[" + textBlock("max:one|two") + "]"), "one"},
		{talk("["+textBlock("max:one|two")+"]", "["+textBlock("one")+"]", limit), "two"},
		{talk("["+textBlock("max:one")+"]", "["+textBlock("one")+"]", bare), "ok"},
	} {
		if _, got, err := post(t, s, c.body); got != c.want || err != nil {
			t.Errorf("%.200s: got %q, %v, want %q", c.body, got, err, c.want)
		}
	}
}

func TestStubCountsTokens(t *testing.T) {
	s := NewStub()
	defer s.Close()
	bodies := []string{conversationOf(true, "echo:12345678"), conversationOf(true, "status:500"), conversationOf(true, "cut"), conversationOf(false, "x")}
	in := 0
	for i, body := range bodies {
		post(t, s, body)
		if r := s.Requests()[i]; i != 1 && r.Input != len(body)/4+1 || i == 1 && r.Input+r.Output != 0 {
			t.Errorf("%d: got %+v", i, r)
		} else {
			in += r.Input
		}
	}
	if got, want := s.Tokens()["m"], (Tokens{in, 3 + 1 + 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestStubFailsOnRequest(t *testing.T) {
	s := NewStub()
	defer s.Close()
	for _, code := range []int{400, 401, 403, 404, 413, 429, 500, 529} {
		if got, _, err := post(t, s, conversationOf(true, fmt.Sprintf("status:%d", code))); got != code || err != nil {
			t.Errorf("got %d, %v, want %d", got, err, code)
		}
	}
	for _, want := range []int{500, 500, 200} {
		if got, _, _ := post(t, s, conversationOf(true, "status:500:2")); got != want {
			t.Errorf("status:500:2: got %d, want %d", got, want)
		}
	}
	if _, got, err := post(t, s, conversationOf(true, "cut")); err == nil || got != "partial " {
		t.Errorf("cut: got %q, %v, want a dropped connection", got, err)
	}
	if got, _, _ := post(t, s, "{"); got != 400 {
		t.Errorf("not JSON: got %d, want 400", got)
	}
}

func TestStubFlagsWhatIsNotTheConversation(t *testing.T) {
	s := NewStub()
	defer s.Close()
	for _, body := range []string{
		`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"quota"}]}`,
		`{"model":"m","max_tokens":500,"system":"make a title","messages":[{"role":"user","content":"hang"}]}`,
	} {
		if code, got, err := post(t, s, body); code != 200 || got != "ok" || err != nil {
			t.Errorf("got %d, %q, %v", code, got, err)
		}
	}
	if all, turns := s.Requests(), s.Turns(); len(all) != 2 || len(turns) != 0 {
		t.Errorf("got %d requests and %d turns, want 2 and 0", len(all), len(turns))
	}
}

func TestStubCloseEndsWhatHangs(t *testing.T) {
	s := NewStub()
	var wg sync.WaitGroup
	for _, text := range []string{"hang", "stall", "slow:10:1h"} {
		wg.Go(func() { post(t, s, conversationOf(true, text)) })
	}
	for end := time.Now().Add(time.Minute); len(s.Requests()) < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the requests did not arrive")
		}
	}
	s.Close()
	s.Close()
	wg.Wait()
	if _, _, err := post(t, s, conversationOf(true, "echo:x")); err == nil {
		t.Error("a closed stub answers")
	}
}

func TestTextIsWhatItSays(t *testing.T) {
	for _, n := range []int{0, 1, 2, 7, 64, 1000, 1 << 20} {
		text := Text(n)
		if len(text) != n || !utf8.ValidString(text) || strings.Join(chunks(text, 10), "") != text {
			t.Errorf("Text(%d): got %d bytes, valid %v", n, len(text), utf8.ValidString(text))
		}
	}
}
