package claude

import (
	"slices"
	"strings"
	"testing"
)

// A server that never answers keeps the first turn of a process waiting; that it is
// the server is told meanwhile.
func TestRealFirstTurnWaitsForAServer(t *testing.T) {
	r := realRig(t)
	told := make(chan string, 100)
	r.o.OnWaits = func(on string) { told <- on }
	r.o.Env = append(r.o.Env, "MCP_TIMEOUT=5000")
	r.o.Args = []string{`--mcp-config={"mcpServers":{"mute":{"command":"sleep","args":["1000"]},"broken":{"command":"false"}}}`}
	p := r.start()
	ask(t, p, "echo:x", "x")
	if p.WaitsFor() != "" {
		t.Errorf("it still waits for %s", p.WaitsFor())
	}
	select {
	case on := <-told:
		if on != "MCP server mute" {
			t.Errorf("told %q", on)
		}
	default:
		if p.SetsMode() { // the program waits with the turn; 197 asks the model without the server
			t.Error("nothing was told")
		}
	}
	list, err := p.Unreachable(t.Context())
	if err != nil || !slices.ContainsFunc(list, func(s string) bool { return strings.HasPrefix(s, "mute: ") }) ||
		!slices.ContainsFunc(list, func(s string) bool { return strings.HasPrefix(s, "broken: ") }) {
		t.Errorf("%q, %v", list, err)
	}
}
