package main

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"iris/config/sys/systest"
	"iris/ipc"
)

// iris-protocol(7) is made from package ipc: its constants, its types and their
// comments. Only the text of each method is written here.

// methodTexts describe the methods and notifications.
var methodTexts = map[string]string{
	ipc.MethodHello:     "Client and daemon exchange their versions. Optional; it must be the first call.",
	ipc.MethodStatus:    "Returns the state of the daemon and its pool.",
	ipc.MethodSend:      "Accepts a message and answers when it has ended. message.state reports its id once it is on disk, its place while it waits, and the beginning of its turn. If the client goes away, the message goes on.",
	ipc.MethodSubmit:    "Accepts a message and answers as soon as it is on disk.",
	ipc.MethodStream:    "Sends the agent's output in the turn of a message as notifications, at the reader's pace, from the beginning or after a number of an earlier stream. It answers when the message has ended and all output was sent. The output of another attempt follows that of the one before; message.state announces it.",
	ipc.MethodWait:      "Waits until one of these messages has ended, and answers at once if one has ended already. A message that gets another attempt has not ended; message.state announces the attempt.",
	ipc.MethodResult:    "Returns the answer of a message that has ended.",
	ipc.MethodMessages:  "Returns a page of the messages on record, newest first.",
	ipc.MethodApprovals: "Returns the tool calls that wait for a decision.",
	ipc.MethodDecide:    "Allows or denies a tool call that waits. A tool call that asks questions is allowed by answering them.",
	ipc.MethodCaller:    "Returns who the daemon takes the caller for: a person or program, or a tool of an agent.",
	ipc.MethodFind:      "Returns the id of a message from its beginning, or of the newest message. The calls that take an id and no MessageRef need all of it.",
	ipc.MethodShow:      "Returns the whole record of one message, without its text and answer.",
	ipc.MethodWhy:       "Returns what a message waits or waited for, or why the agents of a team went and what it cost to come back.",
	ipc.MethodUsage:     "Returns sums of the messages, tokens and costs on record.",
	ipc.MethodCancel:    "Takes a message out of the queue, or interrupts its turn. The agent and its conversation stay.",
	ipc.MethodRetry:     "Gives an unknown message another attempt. Sends the text of any other ended message again, as a new message.",
	ipc.MethodResolve:   "Records how an unknown message ended.",
	ipc.MethodList:      "Returns the live agents, and the limit.",
	ipc.MethodTree:      "Returns the agents and the processes that they have started, daemons included.",
	ipc.MethodKill:      "Stops agents at once. A running turn ends as cancelled.",
	ipc.MethodEvict:     "Stops idle agents now, and busy ones after their turn. Conversations stay.",
	ipc.MethodWake:      "Starts an agent before there is a message for it.",
	ipc.MethodRestart:   "Evicts agents and starts others in their place.",
	ipc.MethodEvents:    "Returns the events that are kept.",
	ipc.MethodSubscribe: "Sends the kept events and then new ones as notifications, until the client goes away. It answers only if the client reads too slowly.",
	ipc.MethodSessions:  "Returns the conversations on record.",
	ipc.MethodReset:     "Forgets a conversation: the next message begins a new one.",
	ipc.MethodRewind:    "Takes back the last turns of a conversation. Their changes to files stay.",
	ipc.MethodMove:      "Gives all conversations of one team, or of a directory that has become one, to another. Idle agents of the first are stopped.",
	ipc.MethodAttach:    "Holds a conversation and has its agent go, so that a person can go on with it in a terminal. Refused to agents.",
	ipc.MethodAttached:  "Says which process the program of a terminal is, or that it has ended. The daemon also sees by itself when it and the client end.",
	ipc.MethodAdopt:     "Makes a session that was begun in Claude Code the conversation of a team. Refused to agents.",
	ipc.MethodLocate:    "Returns where Claude Code keeps the transcript of a conversation or message.",
	ipc.MethodBudgets:   "Returns the budgets of the configuration, and how much of them is spent.",
	ipc.MethodAccounts:  "Returns the accounts of the configured teams, and those that are limited.",
	ipc.MethodOpen:      "Opens an account that is limited: its messages go on. Refused to agents.",
	ipc.MethodExamine:   "Returns what the daemon finds of each team: its directory, its program and its login.",
	ipc.MethodEnv:       "Returns the environment of a team's agents, with secrets masked unless reveal is set.",
	ipc.MethodReload:    "Reads the configuration again. A bad one is refused, and the old one stays.",
	ipc.MethodStop:      "Stops the daemon and answers when its agents are gone.",
	ipc.MethodReplace:   "Replaces the daemon's program in place. Agents, turns and waiting messages go on.",

	ipc.NotifyState: "The state or place of a message has changed.",
	ipc.NotifyEvent: "Something happened in the pool.",

	ipc.NotifyAsked:   "A tool call waits for a decision.",
	ipc.NotifyDecided: "A tool call was decided, or no longer waits.",

	ipc.NotifyBegin: "The stream that the numbers of the following events belong to.",

	ipc.NotifyOutput: "A line of the agent.",
	ipc.NotifyGap:    "The lines between two numbers are no longer kept.",
}

const protocolText = `The daemon of iris answers JSON-RPC 2.0 on a Unix socket, one message a line.
Every command of iris is a client of the daemon, and any other client can do
what the commands do.

The socket is $IRIS_SOCKET, else $XDG_RUNTIME_DIR/iris/iris.sock, else
~/.local/state/iris/run/iris.sock; "iris config path" says which. A client that
finds no daemon may start one with any command of iris, such as "iris status".`

const whoText = `The kernel names the process at the other end. The daemon closes a connection of
another uid before it reads a byte, and a client should ask the same of the
daemon before it writes one; root is another uid too. The socket has mode 0600 in
a directory of mode 0700. Neither is a symbolic link.

The agents of the daemon run under the same uid: only the commands that an agent
is permitted to run limit what it does with the socket.`

const slowText = `Bytes that a client has not read wait in a bounded queue of its connection. The
daemon drops a client that leaves more unread than fits, or that reads nothing
for 30 s. A stream waits for its reader instead, and says what the reader has
missed. A client that keeps reading gets a large answer whole.`

// socatSession is run unchanged by TestProtocolPageIsTrue.
const socatSession = `  $ sock=$(iris status --json | jq -r .socket)
  $ rpc() { printf '%s\n' "$1" | socat -t 60 - "UNIX-CONNECT:$sock"; }

  $ rpc '{"jsonrpc":"2.0","id":1,"method":"message.submit","params":{"team":"echo","text":"hello"}}'
  {"jsonrpc":"2.0","id":1,"result":{"id":"...","state":"queued"...}}

  $ rpc '{"jsonrpc":"2.0","id":2,"method":"message.result","params":{"team":"echo"}}'
  {"jsonrpc":"2.0","id":2,"result":{"id":"...","team":"echo",...,"outcome":"success",...,"text":"hello"}}

  $ rpc '{"jsonrpc":"2.0","id":3,"method":"message.send","params":{"team":"echo","text":"again"}}'
  {"jsonrpc":"2.0","method":"message.state","params":{"id":"...","state":"..."...}}
  {"jsonrpc":"2.0","id":3,"result":{"id":"...",...,"text":"again"}}

  $ rpc '{"jsonrpc":"2.0","id":4,"method":"process.kill","params":{"team":"nope"}}'
  {"jsonrpc":"2.0","id":4,"error":{"code":4,"message":"no team \"nope\"","data":{"reason":"no-such-team","hint":"..."}}}`

// wireSource holds the declarations and comments of package ipc.
type wireSource struct {
	consts []constant
	types  map[string]*ast.GenDecl
	text   string // of the package
}

// constant is a constant with its value in the source and its comment.
type constant struct{ name, value, text string }

func ipcSource(t *testing.T) *wireSource {
	t.Helper()
	s := &wireSource{types: map[string]*ast.GenDecl{}}
	paths, err := filepath.Glob("../../ipc/*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("package ipc: %v", err)
	}
	for _, path := range append(paths, "../../pool/turn/variant.go") {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(path) == "doc.go" {
			s.text = f.Doc.Text()
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.add(g)
			}
		}
	}
	return s
}

func (s *wireSource) add(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			s.types[spec.Name.Name] = g
		case *ast.ValueSpec:
			if g.Tok == token.CONST && len(spec.Values) == 1 {
				value := literal(spec.Values[0])
				s.consts = append(s.consts, constant{spec.Names[0].Name, value, strings.TrimSpace(spec.Comment.Text())})
			}
		}
	}
}

func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.UnaryExpr:
		return e.Op.String() + literal(e.X)
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return s
		}
		return e.Value
	}
	return ""
}

// named lists the constants whose names begin with prefix.
func (s *wireSource) named(prefix string) (out []constant) {
	for _, c := range s.consts {
		if rest, ok := strings.CutPrefix(c.name, prefix); ok && rest != "" && c.value != "" {
			out = append(out, c)
		}
	}
	return out
}

// protocolPage is iris-protocol(7).
func protocolPage(t *testing.T) []byte {
	s := ipcSource(t)
	p := &page{}
	p.head("iris-protocol", "7", "how programs talk to the daemon of iris")
	p.section("DESCRIPTION")
	p.text(protocolText)
	for _, title := range []string{"The wire", "What is refused", "Versions"} {
		p.section(strings.ToUpper(title))
		p.text(s.part(t, title))
	}
	p.section("WHO MAY CONNECT")
	p.text(whoText)
	p.section("SLOW READERS")
	p.text(slowText)
	p.section("METHODS")
	p.text("Each method is shown with its params and its result, which are described under\nTYPES. {} is an object without members.")
	queue := p.methods(t, s, "Method")
	p.section("NOTIFICATIONS")
	queue = append(queue, p.methods(t, s, "Notify")...)
	p.section("ERRORS")
	p.text("The code of an error is the exit status of the command that receives it. Its\ndata holds reason, one word for programs; hint, what to do about it; and id, the\nmessage concerned. Members that are missing do not apply.")
	for _, c := range s.named("Code") {
		p.item(c.value, s.codeText(c))
	}
	p.section("TYPES")
	p.text("Members marked with ? may be absent; an absent member has its empty value. A time\nis in RFC 3339, and a member that ends in _ms is a number of milliseconds.")
	p.types(s, append(queue, "Error", "Data"))
	p.section("EXAMPLES")
	p.text(socatSession)
	p.section("SEE ALSO")
	p.line("%s", roff("iris(1), iris-daemon(1), iris-config(5)"))
	return p.Bytes()
}

// codeText is the comment of a code; the codes of JSON-RPC have none.
func (s *wireSource) codeText(c constant) string {
	if c.text != "" {
		return c.text
	}
	words := regexp.MustCompile(`[A-Z][a-z]+`).FindAllString(strings.TrimPrefix(c.name, "Code"), -1)
	return strings.ToLower(strings.Join(words, " ")) + ", as in JSON-RPC 2.0"
}

// part is one section of the package comment as plain text.
func (s *wireSource) part(t *testing.T, title string) string {
	var p comment.Parser
	var pr comment.Printer
	pr.TextWidth = 78
	doc := p.Parse(s.text)
	for i, b := range doc.Content {
		h, ok := b.(*comment.Heading)
		if !ok || string(h.Text[0].(comment.Plain)) != title {
			continue
		}
		rest := doc.Content[i+1:]
		end := slices.IndexFunc(rest, func(b comment.Block) bool { _, ok := b.(*comment.Heading); return ok })
		if end >= 0 {
			rest = rest[:end]
		}
		text := string(pr.Text(&comment.Doc{Content: rest}))
		return strings.TrimSpace(strings.ReplaceAll(text, "\n\t", "\n  "))
	}
	t.Errorf("package ipc says nothing under %q", title)
	return ""
}

var typeName = regexp.MustCompile(`\b[A-Z][A-Za-z]+\b`)

// methods describes the methods or notifications and returns the types that
// they name.
func (p *page) methods(t *testing.T, s *wireSource, prefix string) (types []string) {
	for _, c := range s.named(prefix) {
		text := c.text
		for _, n := range s.named("Notify") {
			text = strings.ReplaceAll(text, n.name, n.value)
		}
		types = append(types, typeName.FindAllString(text, -1)...)
		p.item(c.value, methodTexts[c.value])
		p.line(".br\n%s", roff(strings.ReplaceAll(text, "->", "→")))
		if methodTexts[c.value] == "" {
			t.Errorf("nothing is said of %s", c.value)
		}
	}
	return types
}

// types describes these types, and the types of their members.
func (p *page) types(s *wireSource, queue []string) {
	seen := map[string]bool{}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		g := s.types[name]
		if g == nil || seen[name] {
			continue
		}
		seen[name] = true
		spec := g.Specs[0].(*ast.TypeSpec)
		st, ok := spec.Type.(*ast.StructType)
		if !ok {
			continue
		}
		p.line(".SS %s", name)
		p.text(strings.TrimSpace(g.Doc.Text()))
		for _, f := range st.Fields.List {
			queue = append(queue, p.member(f)...)
		}
	}
}

// member describes a member, and returns the types that it names.
func (p *page) member(f *ast.Field) []string {
	if f.Tag == nil {
		return nil
	}
	tag, _ := strconv.Unquote(f.Tag.Value)
	name, opts, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
	if strings.Contains(opts, "omit") {
		name += "?"
	}
	kind, types := wireType(f.Type)
	p.item(name, kind+note(f))
	return types
}

// note is the comment of a member, after its type.
func note(f *ast.Field) string {
	if text := strings.Join(strings.Fields(f.Comment.Text()), " "); text != "" {
		return "; " + text
	}
	return ""
}

// wireType names the JSON form of a Go type, and returns the other types in it.
func wireType(e ast.Expr) (kind string, types []string) {
	switch e := e.(type) {
	case *ast.StarExpr:
		kind, types = wireType(e.X)
		return kind + " or null", types
	case *ast.ArrayType:
		kind, types = wireType(e.Elt)
		return "list of " + kind, types
	case *ast.SelectorExpr:
		switch e.Sel.Name {
		case "Time":
			return "time", nil
		case "Variant":
			return wireType(e.Sel)
		}
		return "JSON", nil
	case *ast.Ident:
		switch e.Name {
		case "int", "int64", "uint64":
			return "integer", nil
		case "float64":
			return "number", nil
		case "bool":
			return "boolean", nil
		case "string":
			return "string", nil
		}
		return e.Name, []string{e.Name}
	}
	return fmt.Sprintf("%T", e), nil
}

// TestProtocolPageIsTrue runs the session of the page and checks its output, where
// "..." stands for anything.
func TestProtocolPageIsTrue(t *testing.T) {
	t.Parallel()
	systest.Needs(t, "socat", "jq", "bash")
	h := newHouse(t, irisPath(t), "")
	var script, want strings.Builder
	for line := range strings.Lines(socatSession) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "$ "):
			script.WriteString(line[2:] + "\n")
			if strings.Contains(line, "message.submit") {
				script.WriteString("iris wait $(iris messages -q) >/dev/null\n")
			}
		case line != "":
			want.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, ".*") + "\n")
		}
	}
	cmd := exec.Command("bash", "-eu", "-o", "pipefail", "-c", script.String())
	cmd.Env = append(h.env, "GORACE="+os.Getenv("GORACE"))
	got := run(t, cmd)
	if !regexp.MustCompile("^" + want.String() + "$").MatchString(got) {
		t.Errorf("got\n%s\nwant\n%s", got, want.String())
	}
}
