package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"iris/config"
	"iris/config/sys/systest"
	"iris/ipc"
)

func TestMain(m *testing.M) {
	systest.Begin()
	goleak.VerifyTestMain(m)
}

// longEnough is for what should come by itself, however busy the machine is.
const longEnough = time.Minute

// A daemon answers as a test wants. It can be killed and come back at the same socket.
type daemon struct {
	t      *testing.T
	paths  config.Paths
	handle map[string]ipc.Handler

	mu    sync.Mutex
	calls []string // methods, in order
	conns []net.Conn
	end   func()
}

// newDaemon starts a daemon in a home of its own, and returns the server that asks it.
func newDaemon(t *testing.T, handle map[string]ipc.Handler) (*daemon, *server) {
	t.Helper()
	home := t.TempDir()
	for name, value := range map[string]string{
		"HOME": home, "XDG_RUNTIME_DIR": home, "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": "", "IRIS_SOCKET": "", "IRIS_CONFIG": "",
		"IRIS_PROCESS": "", "IRIS_TEAM": "", "IRIS_SESSION": "", "PATH": filepath.Join(home, "bin"),
	} {
		t.Setenv(name, value)
	}
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	paths, err := config.Resolve("")
	if err == nil {
		err = paths.MakeDirs()
	}
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, paths: paths, handle: handle}
	d.start()
	t.Cleanup(d.kill)
	return d, &server{client: &client{paths: paths}, progress: time.Millisecond}
}

func (d *daemon) start() {
	ln, err := ipc.Listen(d.paths.Socket)
	if err != nil {
		d.t.Error(err)
		return
	}
	s := ipc.NewServer(ipc.Options{Version: "test"})
	for name, h := range d.handle {
		s.Handle(name, func(ctx context.Context, c *ipc.Call) (any, error) {
			d.mu.Lock()
			d.calls = append(d.calls, name)
			d.mu.Unlock()
			return h(ctx, c)
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Serve(ctx, known{ln, d}) })
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end = func() { ln.Close(); cancel(); wg.Wait() }
}

// known notes the connections of a daemon.
type known struct {
	net.Listener
	d *daemon
}

func (k known) Accept() (net.Conn, error) {
	nc, err := k.Listener.Accept()
	if err == nil {
		k.d.mu.Lock()
		defer k.d.mu.Unlock()
		k.d.conns = append(k.d.conns, nc)
	}
	return nc, err
}

// kill ends the daemon as SIGKILL does. A handler must not call it.
func (d *daemon) kill() {
	d.drop()
	d.mu.Lock()
	end := d.end
	d.mu.Unlock()
	end()
}

// drop ends all connections.
func (d *daemon) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, nc := range d.conns {
		nc.Close()
	}
	d.conns = nil
}

func (d *daemon) called() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.calls, " ")
}

// configure writes the configuration.
func (d *daemon) configure(toml string) {
	d.t.Helper()
	if err := os.MkdirAll(filepath.Dir(d.paths.Config), 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(d.paths.Config, []byte(toml), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// a says everything in one value.
func says(v any) ipc.Handler {
	return func(context.Context, *ipc.Call) (any, error) { return v, nil }
}

func fails(code int, reason, text string) ipc.Handler {
	return func(context.Context, *ipc.Call) (any, error) {
		return nil, &ipc.Error{Code: code, Message: text, Data: &ipc.Data{Reason: reason}}
	}
}

// session connects a client to the server; heard gets its progress.
func (s *server) session(t *testing.T, heard func(*mcp.ProgressNotificationParams)) *mcp.ClientSession {
	t.Helper()
	mine, theirs := mcp.NewInMemoryTransports()
	running, err := s.mcp().Connect(t.Context(), theirs, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "test"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, req *mcp.ProgressNotificationClientRequest) {
			if heard != nil {
				heard(req.Params)
			}
		},
	})
	session, err := client.Connect(t.Context(), mine, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close(); running.Wait() })
	return session
}

// use calls a tool. It returns the structured content, or the text of an error.
func (s *server) use(t *testing.T, tool string, args any) (map[string]any, string) {
	t.Helper()
	return called(t, s.session(t, nil), &mcp.CallToolParams{Name: tool, Arguments: args})
}

func called(t *testing.T, session *mcp.ClientSession, p *mcp.CallToolParams) (map[string]any, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longEnough)
	defer cancel()
	r, err := session.CallTool(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	if r.IsError {
		return nil, r.Content[0].(*mcp.TextContent).Text
	}
	out, _ := r.StructuredContent.(map[string]any)
	return out, ""
}

// has checks that a value has these members, as JSON.
func has(t *testing.T, got map[string]any, failed string, want string) {
	t.Helper()
	b, err := json.Marshal(got)
	if err != nil || failed != "" || string(b) != want {
		t.Errorf("got %s %s, want %s", b, failed, want)
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args           []string
		status         int
		stdout, stderr string
	}{
		{[]string{"-h"}, 0, "Usage: iris mcp", ""},
		{[]string{"--help"}, 0, "claude mcp add iris -- iris mcp", ""},
		{[]string{"--version"}, 0, version(), ""},
		{[]string{"-x"}, 2, "", `iris: mcp does not take the argument "-x"`},
		{[]string{"--help", "y"}, 2, "", `"--help"`},
	} {
		var stdout, stderr bytes.Buffer
		if got := run(c.args, &stdout, &stderr); got != c.status || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) || c.stderr == "" && stderr.Len() > 0 {
			t.Errorf("%v: status %d, stdout %s, stderr %s", c.args, got, &stdout, &stderr)
		}
	}
}

// An agent has the tool that makes a session forget only if its team allows that.
func TestToolsOfTheCaller(t *testing.T) {
	d, s := newDaemon(t, nil)
	d.configure("[teams.a]\ndir = \"/\"\nmcp = true\n[teams.b]\ndir = \"/\"\nmcp = true\nmcp_allow = [\"reset_session\"]\n")
	const all = "cancel_message evict_team get_result list_messages list_teams reset_session send_message wait_message wake_team"
	for _, c := range []struct{ process, team, want string }{
		{"", "", all}, {"p-1", "b", all},
		{"p-1", "a", strings.Replace(all, "reset_session ", "", 1)},
		{"p-1", "gone", strings.Replace(all, "reset_session ", "", 1)},
	} {
		t.Setenv("IRIS_PROCESS", c.process)
		t.Setenv("IRIS_TEAM", c.team)
		list, err := s.session(t, nil).ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, tool := range list.Tools {
			names = append(names, tool.Name)
			reads := strings.HasPrefix(tool.Name, "list_") || strings.HasPrefix(tool.Name, "get_") || tool.Name == "wait_message"
			destroys := tool.Name == "cancel_message" || tool.Name == "reset_session"
			if a := tool.Annotations; a.ReadOnlyHint != reads || *a.DestructiveHint != destroys || len(tool.Description) > 200 {
				t.Errorf("%s: got %+v, %s", tool.Name, a, tool.Description)
			}
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

// The manual names every tool with its arguments.
func TestManualHasEveryTool(t *testing.T) {
	page, err := os.ReadFile("../../man/iris-mcp.1")
	if err != nil {
		t.Fatal(err)
	}
	_, s := newDaemon(t, nil)
	list, err := s.session(t, nil).ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		line := ""
		for l := range strings.Lines(string(page)) {
			if strings.HasPrefix(l, tool.Name+" ") {
				line = l
			}
		}
		schema, _ := tool.InputSchema.(map[string]any)
		properties, _ := schema["properties"].(map[string]any)
		for name := range properties {
			if !strings.Contains(line, name) {
				t.Errorf("%s: the page does not name %s: %q", tool.Name, name, line)
			}
		}
		if line == "" || schema == nil {
			t.Errorf("the page has no %s", tool.Name)
		}
	}
}
