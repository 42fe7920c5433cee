package claudetest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the real program does to testdata/conformance-VERSION.json")

// golden is what one version of the real program does: the record of each case.
type golden map[string][]string

func goldenFile(version string) string { return "testdata/conformance-" + version + ".json" }

const aSession = "6f1cf4d2-6f4e-4f0b-9f63-1c3f3b6f0a11"

// TestConformance holds the real program against the record of its version, or
// tells in words how a version without one differs from the newest that has; the
// fake, in both of its styles, and the built-in agent must write what the real
// program does.
func TestConformance(t *testing.T) {
	t.Run("claude", func(t *testing.T) {
		stub := NewStub()
		defer stub.Close()
		c := conformance{program: Real(t), env: append(stub.Env(t.TempDir()), "CLAUDE_CODE_MAX_RETRIES=0"), stub: stub}
		c.version = versionOf(t, c.program, c.env)
		c.run(t)
	})
	self, _ := os.Executable()
	dir := t.TempDir()
	agent := filepath.Join(dir, echoName)
	os.Symlink(self, agent)
	for _, c := range []conformance{
		{name: "fake", which: 1, program: Install(dir), version: Version},
		{name: "old fake", which: 1, program: Install(dir), version: OldVersion, env: []string{"FAKECLAUDE_ARGS=--fake-old"}},
		{name: "echo", which: 2, program: agent, version: Version},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.env = fakeEnv(t, c.env...)
			c.run(t)
		})
	}
}

// conformance is one program that is held against a record.
type conformance struct {
	name    string
	which   int // which of a case's texts it gets; 0 is the real program
	program string
	version string
	env     []string
	stub    *Stub // of the real program
}

// run runs every case. With -update the real program writes the record.
func (c conformance) run(t *testing.T) {
	want, err := readGolden(c.version)
	newer := os.IsNotExist(err) && c.which == 0
	if err != nil && !newer {
		t.Fatal(err)
	}
	got := golden{}
	for _, k := range conformanceCases {
		if k.text[c.which] == "" || k.not == c.version || k.slow && c.which == 0 && os.Getenv("IRIS_SLOW") == "" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			got[k.name] = c.record(t, k)
			if !*update && !newer {
				k.compare(t, c.which, got[k.name], want[k.name])
			}
		})
	}
	switch {
	case c.which == 0 && *update:
		maps.Copy(want, got)
		writeGolden(t, c.version, want)
	case newer:
		tellDifferences(t, c.version, got)
	}
}

// record runs one case and returns its record.
func (c conformance) record(t *testing.T, k conformanceCase) []string {
	env := slices.Concat(c.env, []string{"CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS=1", "CLAUDE_CONFIG_DIR=" + t.TempDir()})
	a := start(t, c.program, workDir(t), env, k.args...)
	a.stub = c.stub
	a.control("init", `{"subtype":"initialize"}`)
	a.response("init")
	k.run(a, k.text[c.which])
	return a.record(k.only)
}

// compare fails the test where a record differs from the wanted one in what iris
// could see.
func (k conformanceCase) compare(t *testing.T, which int, got, want []string) {
	t.Helper()
	if k.races {
		got, want = withoutEnd(got), withoutEnd(want)
	}
	got, want = essence(got), essence(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// versionOf asks a program which version it is.
func versionOf(t *testing.T, program string, env []string) string {
	t.Helper()
	cmd := exec.Command(program, "--version")
	cmd.Env = env
	out, err := cmd.Output()
	version, _, _ := strings.Cut(string(out), " ")
	if err != nil || version == "" {
		t.Fatalf("%s --version: %v, %q", program, err, out)
	}
	return version
}

func readGolden(version string) (golden, error) {
	g := golden{}
	data, err := os.ReadFile(goldenFile(version))
	if err == nil {
		err = json.Unmarshal(data, &g)
	}
	return g, err
}

func writeGolden(t *testing.T, version string, g golden) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(g); err != nil {
		t.Fatal(err)
	}
	os.MkdirAll("testdata", 0o755)
	if err := os.WriteFile(goldenFile(version), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// record describes all lines, the exit status and standard error, and the same
// of the process that followed.
func (a *agent) record(only string) []string {
	for l := range a.lines {
		a.seen = append(a.seen, l)
	}
	var out []string
	for _, l := range a.seen {
		if s := a.signature(l); s != "" && (only == "" || l.Type == only) && !(a.unpieced && l.Type == "stream_event") {
			out = append(out, s)
		}
	}
	errors := unparsed.ReplaceAllString(a.stderr.String(), "$1")
	out = append(out, fmt.Sprintf("%v %s", a.cmd.ProcessState, strings.TrimSpace(errors)))
	if a.next != nil {
		out = append(out, a.next.record(only)...)
	}
	return out
}

// unparsed is how the program complains about a line of its input.
var unparsed = regexp.MustCompile(`(Error parsing streaming input line).*`)

// endOfTurn are the lines of a turn's end.
var endOfTurn = regexp.MustCompile(`  type="(assistant|user|result|command_lifecycle)"`)

// withoutEnd is a record without those.
func withoutEnd(record []string) []string {
	return slices.DeleteFunc(slices.Clone(record), endOfTurn.MatchString)
}

// valued are the fields of which the value counts, and not only its kind.
var valued = regexp.MustCompile(`^(type|subtype|state|is_error|num_turns|terminal_reason|stop_reason|api_error_status|` +
	`parent_tool_use_id|isReplay|origin\.kind|request_id|role|response\.error|message\.role|response\.subtype|response\.request_id|` +
	`command_uuid|user_message_uuids?|wakeup_source|result_index|task_type|status|patch\.status|is_backgrounded|` +
	`response\.response\.(mode|still_queued|cancelled|current_permission_mode|session_state)|permissionMode)$`)

// reads are the fields that iris looks at; of the others only people are told.
var reads = regexp.MustCompile(`^(type|subtype|state|session_id|uuid|command_uuid|wakeup_source|is_error|api_error_status|num_turns|` +
	`result|stop_reason|terminal_reason|errors|total_cost_usd|modelUsage|model_usage_since_last_result|usage|permission_denials|` +
	`user_message_uuids|origin|origin\.kind|origin\.runId|structured_output|local_command|result_index|deferred_tool_use|duration_ms|` +
	`duration_api_ms|model|permissionMode|message\.role|parent_tool_use_id|isReplay|isSynthetic|response\.subtype|response\.request_id|` +
	`response\.response\.current_permission_mode|response\.response\.capabilities|task_id|task_type|run_id|` +
	`is_backgrounded|patch\.status|tasks|compact_result|compact_error|request_id|request\.subtype|request\.tool_name|` +
	`request\.input|request\.agent_id|request\.tool_use_id|tool_name|tool_use_id)$`)

// signature describes a line: its fields by name, each with its value or its kind,
// with two blanks between them. It is empty for lines that are ignored. A message of
// the test is named by its number, since its id is new in each run.
func (a *agent) signature(l line) string {
	raw := l.raw
	for i, id := range a.sent {
		raw = strings.ReplaceAll(raw, id, fmt.Sprintf("message %d", i+1))
	}
	var fields map[string]any
	if json.Unmarshal([]byte(raw), &fields) != nil {
		return "garbage"
	}
	if l.Subtype == "task_progress" || l.Subtype == "status" || l.Type == "stream_event" && !strings.Contains(l.raw, "text_delta") {
		return ""
	}
	if l.Type == "assistant" {
		delete(fields, "request_id") // the stub's, sent by no fake
	}
	if fields["parent_tool_use_id"] != nil {
		fields["parent_tool_use_id"] = "the tool's"
	}
	if strings.HasPrefix(l.Type, "control_") && fields["request_id"] != nil {
		fields["request_id"] = "its own"
	}
	if id, ok := fields["command_uuid"].(string); ok && uuidForm.MatchString(id) {
		fields["command_uuid"] = "its own"
	}
	out := describe("", fields)
	slices.Sort(out)
	return strings.Join(out, "  ")
}

// essence is a record with the fields only that iris looks at.
func essence(record []string) []string {
	var out []string
	for _, l := range record {
		if strings.Contains(l, `type="system"`) {
			l = strings.ReplaceAll(l, "  usage:object", "")
		}
		fields := slices.DeleteFunc(strings.Split(l, "  "), func(f string) bool {
			i := strings.IndexAny(f, ":=")
			return i > 0 && strings.Contains(l, `type="`) && !reads.MatchString(f[:i])
		})
		out = append(out, strings.Join(fields, "  "))
	}
	return out
}

// opened are objects whose own fields are told one by one.
var opened = regexp.MustCompile(`^(response|response\.response|message|origin|patch|request)$`)

func describe(prefix string, fields map[string]any) []string {
	var out []string
	for name, v := range fields {
		name = prefix + name
		inner, isObject := v.(map[string]any)
		switch {
		case valued.MatchString(name):
			out = append(out, name+"="+toJSON(v))
		case isObject && opened.MatchString(name):
			out = append(out, describe(name+".", inner)...)
		default:
			out = append(out, name+":"+kindOf(v))
		}
	}
	return out
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	case float64:
		return "number"
	default:
		return fmt.Sprintf("%T", v)
	}
}
