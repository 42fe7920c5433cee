package adapter

import (
	"strings"
	"testing"

	"iris/pool/procs"
)

func TestServersComeWithEachConversation(t *testing.T) {
	const given = `--mcp-config={"mcpServers":{"b":{"command":"/b"},"a":{"command":"/a","args":["x","y"]}}}`
	t.Setenv(procs.EnvState, t.TempDir())
	t.Setenv(procs.EnvTeam, "api")
	t.Setenv("OTHER", "secret")
	t.Chdir(t.TempDir())
	for _, mode := range []string{"", "", "resume"} { // session/new, session/load, session/resume
		r := launch(t, []string{given}, mode)
		r.say("servers")
		got := r.result().Result
		for _, want := range []string{`[{"name":"a","command":"/a","args":["x","y"],"env":[{`, `{"name":"IRIS_TEAM","value":"api"}`, `{"name":"b","command":"/b","args":[],`} {
			if !strings.Contains(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		if strings.Contains(got, "secret") {
			t.Errorf("got %s", got)
		}
		r.end()
	}
	r := launch(t, []string{"--mcp-config=file.json"})
	if s := r.end(); s != 1 || !strings.Contains(r.stderr.String(), "--mcp-config is not the JSON of MCP servers") {
		t.Errorf("got status %d, %s", s, &r.stderr)
	}
}
