// Package adaptertest is a program that speaks the Agent Client Protocol, for tests.
package adaptertest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// name is the first argument of a test binary that is to be the program.
const name = "fake-acp"

// Command is the command line of the program. Each mode changes one thing:
//
//	banner    prints a line before it speaks
//	version2  speaks another version
//	mute      never answers initialize
//	other     answers every call with an error: it speaks another protocol
//	early     exits at once with status 3
//	logout    has no login until the file "login" is in its directory
//	forgets   has no conversation to go on with
//	new       can only begin conversations
//	deaf      neither ends with its input nor with SIGTERM
//
// A message is a list of acts, one a line; what is no act is part of the answer:
//
//	sleep:DURATION, exit:STATUS, big:MEGABYTES, noise, hang, ask:COMMAND, tool:TEXT,
//	message:ID:TEXT, stop:REASON, error:CODE:TEXT, cost:USD, request, servers, think, deaf
func Command(modes ...string) []string {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return append([]string{exe, name}, modes...)
}

// Main is the program if the arguments say so. Call it first in TestMain.
func Main() {
	if len(os.Args) > 1 && os.Args[1] == name {
		f := &fake{modes: strings.Join(os.Args[2:], " "), out: os.Stdout, answers: map[string]chan json.RawMessage{}, cancel: make(chan struct{}, 1)}
		f.main()
		os.Exit(0)
	}
}

type fake struct {
	modes   string
	out     *os.File
	servers string // that it was told when its conversation was opened

	mu      sync.Mutex
	answers map[string]chan json.RawMessage
	last    int
	cancel  chan struct{}
}

type object = map[string]any

func (f *fake) is(mode string) bool { return strings.Contains(f.modes, mode) }

func (f *fake) main() {
	if f.is("banner") {
		fmt.Println("Welcome to the fake agent!")
	}
	if f.is("early") {
		fmt.Fprintln(os.Stderr, "cannot work here")
		os.Exit(3)
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	var wg sync.WaitGroup
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		var m struct {
			ID     json.RawMessage
			Method string
			Params json.RawMessage
			Result json.RawMessage
		}
		if json.Unmarshal(line, &m) != nil {
			continue
		}
		if m.Method == "session/prompt" {
			wg.Go(func() { f.prompt(m.ID, m.Params) })
			continue
		}
		f.call(m.ID, m.Method, m.Params, m.Result)
	}
	if f.is("deaf") {
		select {}
	}
}

func (f *fake) send(v object) {
	v["jsonrpc"] = "2.0"
	raw, _ := json.Marshal(v)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out.Write(append(raw, '\n'))
}

func (f *fake) reply(id json.RawMessage, result any) { f.send(object{"id": id, "result": result}) }

func (f *fake) refuse(id json.RawMessage, code int, text string) {
	f.send(object{"id": id, "error": object{"code": code, "message": text}})
}

func (f *fake) call(id json.RawMessage, method string, params, result json.RawMessage) {
	switch {
	case method == "" && id != nil:
		f.mu.Lock()
		wait := f.answers[string(id)]
		delete(f.answers, string(id))
		f.mu.Unlock()
		if wait != nil {
			wait <- result
		}
	case f.is("other"):
		f.refuse(id, -32601, "method not found")
	case method == "initialize":
		f.initialize(id)
	case method == "session/cancel":
		select {
		case f.cancel <- struct{}{}:
		default:
		}
	case strings.HasPrefix(method, "session/"):
		f.session(id, method, params)
	}
}

func (f *fake) initialize(id json.RawMessage) {
	version := 1
	switch {
	case f.is("mute"):
		return
	case f.is("version2"):
		version = 2
	}
	can := object{"loadSession": true, "sessionCapabilities": object{}}
	if f.is("new") {
		can["loadSession"] = false
	}
	if f.is("resume") {
		can["sessionCapabilities"] = object{"resume": object{}}
	}
	f.reply(id, object{"protocolVersion": version, "agentCapabilities": can, "agentInfo": object{"name": "fake", "version": "9"}})
}

// A conversation is a file in the working directory with a line for each message.
func (f *fake) session(id json.RawMessage, method string, params json.RawMessage) {
	var p struct {
		SessionID, Cwd string
		MCPServers     json.RawMessage
	}
	json.Unmarshal(params, &p)
	f.servers = string(p.MCPServers)
	if _, err := os.Stat("login"); f.is("logout") && err != nil {
		f.refuse(id, -32000, "Authentication required")
		return
	}
	if method == "session/new" {
		p.SessionID = "fake_" + strconv.Itoa(os.Getpid())
		f.reply(id, object{"sessionId": p.SessionID})
		return
	}
	said, err := os.ReadFile(p.SessionID)
	if err != nil || f.is("forgets") {
		f.refuse(id, -32602, "no such session")
		return
	}
	if method == "session/load" {
		for line := range strings.Lines(string(said)) {
			f.update(object{"sessionUpdate": "agent_message_chunk", "content": object{"type": "text", "text": "replayed " + line}})
		}
	}
	f.reply(id, object{})
}

func (f *fake) update(u object) {
	f.send(object{"method": "session/update", "params": object{"sessionId": "any", "update": u}})
}

func (f *fake) text(text string) {
	f.update(object{"sessionUpdate": "agent_message_chunk", "content": object{"type": "text", "text": text}})
}

func (f *fake) prompt(id, params json.RawMessage) {
	var p struct {
		SessionID string
		Prompt    []struct{ Text string }
	}
	json.Unmarshal(params, &p)
	file, _ := os.OpenFile(filepath.Base(p.SessionID), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	fmt.Fprintf(file, "%q\n", p.Prompt[0].Text)
	file.Close()
	select { // one that came before the turn has no effect
	case <-f.cancel:
	default:
	}
	reason := "end_turn"
	for act := range strings.Lines(p.Prompt[0].Text) {
		var ended bool
		if reason, ended = f.act(id, strings.TrimSpace(act), reason); ended {
			break
		}
	}
	if reason != "" {
		f.reply(id, object{"stopReason": reason, "usage": object{"inputTokens": 7, "outputTokens": 3}})
	}
}

// act does one line and returns the stop reason so far, empty if the prompt is answered.
func (f *fake) act(id json.RawMessage, act, reason string) (string, bool) {
	verb, arg, _ := strings.Cut(act, ":")
	n, _ := strconv.Atoi(arg)
	switch verb {
	case "sleep":
		d, _ := time.ParseDuration(arg)
		select {
		case <-time.After(d):
		case <-f.cancel:
			return "cancelled", true
		}
	case "hang":
		<-f.cancel
		return "cancelled", true
	case "deaf":
		select {}
	case "exit":
		fmt.Fprintln(os.Stderr, "that was too much")
		os.Exit(n)
	case "big":
		f.text(strings.Repeat("x", n<<20))
	case "noise":
		f.mu.Lock()
		f.out.WriteString("{not json\n\n[1]\n\"x\"\n\x00\xff\n{\"id\":99,\"result\":1}\n{\"method\":\"_odd\"}\n")
		f.mu.Unlock()
	case "think":
		f.update(object{"sessionUpdate": "agent_thought_chunk", "content": object{"type": "text", "text": "hm"}})
	case "tool":
		f.update(object{"sessionUpdate": "tool_call", "toolCallId": "t1", "title": "a tool", "kind": "execute", "status": "pending"})
		f.update(object{"sessionUpdate": "tool_call_update", "toolCallId": "t1", "kind": "execute", "status": "completed",
			"rawInput": object{"command": arg}, "content": []object{{"type": "content", "content": object{"type": "text", "text": "done"}}}})
	case "ask":
		f.text(f.ask("session/request_permission", object{
			"toolCall": object{"toolCallId": "t2", "title": arg, "kind": "execute", "rawInput": object{"command": arg}},
			"options":  []object{{"optionId": "7", "kind": "reject_once"}, {"optionId": "8", "kind": "allow_once"}, {"optionId": "9", "kind": "allow_always"}},
		}))
	case "servers":
		f.text(f.servers)
	case "request":
		f.text(f.ask("fs/read_text_file", object{"path": "/etc/passwd"}))
	case "message":
		of, text, _ := strings.Cut(arg, ":")
		f.update(object{"sessionUpdate": "agent_message_chunk", "messageId": of, "content": object{"type": "text", "text": text}})
	case "stop":
		return arg, true
	case "error":
		code, text, _ := strings.Cut(arg, ":")
		n, _ = strconv.Atoi(code)
		f.refuse(id, n, text)
		return "", true
	case "cost":
		usd, _ := strconv.ParseFloat(arg, 64)
		f.update(object{"sessionUpdate": "usage_update", "cost": object{"amount": usd, "currency": "USD"}})
	default:
		f.text(act)
	}
	return reason, false
}

// ask calls a method of the client and returns its answer.
func (f *fake) ask(method string, params object) string {
	wait := make(chan json.RawMessage, 1)
	f.mu.Lock()
	id := strconv.Itoa(f.last)
	f.last++
	f.answers[id] = wait
	f.mu.Unlock()
	f.send(object{"id": json.RawMessage(id), "method": method, "params": params})
	return string(<-wait)
}
