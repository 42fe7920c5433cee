package claudetest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the real program does to testdata/conformance.json")

const goldenFile = "testdata/conformance.json"

const aSession = "6f1cf4d2-6f4e-4f0b-9f63-1c3f3b6f0a11"

func TestConformance(t *testing.T) {
	golden := map[string][]string{}
	data, err := os.ReadFile(goldenFile)
	if err == nil {
		err = json.Unmarshal(data, &golden)
	}
	if err != nil && !*update {
		t.Fatal(err)
	}
	t.Run("claude", func(t *testing.T) {
		program := Real(t)
		stub := NewStub()
		defer stub.Close()
		conform(t, 0, stub, program, append(stub.Env(t.TempDir()), "CLAUDE_CODE_MAX_RETRIES=0"), golden)
	})
	if *update {
		writeGolden(t, golden)
	}
	dir := t.TempDir()
	t.Run("fake", func(t *testing.T) { conform(t, 1, nil, Install(dir), fakeEnv(t), golden) })
	self, _ := os.Executable()
	agent := filepath.Join(dir, echoName)
	os.Symlink(self, agent)
	t.Run("echo", func(t *testing.T) { conform(t, 2, nil, agent, fakeEnv(t), golden) })
}

func writeGolden(t *testing.T, golden map[string][]string) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(golden); err != nil {
		t.Fatal(err)
	}
	os.MkdirAll("testdata", 0o755)
	if err := os.WriteFile(goldenFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// conform runs every case against one program. With -update the real program
// writes the record; it has a stub.
func conform(t *testing.T, which int, stub *Stub, program string, env []string, golden map[string][]string) {
	env = append(env, "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS=1")
	for _, c := range conformanceCases {
		if c.text[which] == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			a := start(t, program, workDir(t), slices.Concat(env, []string{"CLAUDE_CONFIG_DIR=" + t.TempDir()}), c.args...)
			a.stub = stub
			a.control("init", `{"subtype":"initialize"}`)
			a.response("init")
			c.run(a, c.text[which])
			got := a.record(c.only)
			if *update && which == 0 {
				golden[c.name] = got
			}
			want := golden[c.name]
			if c.races && which == 0 {
				got, want = withoutEnd(got), withoutEnd(want)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
		})
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
		if s := signature(l); s != "" && (only == "" || l.Type == only) && !(a.unpieced && l.Type == "stream_event") {
			out = append(out, s)
		}
	}
	errors := a.stderr.String()
	if i := strings.Index(errors, "input line: "); i > 0 {
		errors = errors[:i] + "input line: ...\n"
	}
	out = append(out, fmt.Sprintf("%v %s", a.cmd.ProcessState, strings.TrimSpace(errors)))
	if a.next != nil {
		out = append(out, a.next.record(only)...)
	}
	return out
}

// endOfTurn are the lines of a turn's end.
var endOfTurn = regexp.MustCompile(` type="(assistant|user|result)"`)

// withoutEnd is a record without those.
func withoutEnd(record []string) []string {
	return slices.DeleteFunc(slices.Clone(record), endOfTurn.MatchString)
}

// valued are the fields of which the value counts, and not only its kind.
var valued = regexp.MustCompile(`^(type|subtype|state|is_error|num_turns|terminal_reason|stop_reason|api_error_status|` +

	`parent_tool_use_id|isReplay|origin|request_id|role|response\.error|message\.role|response\.subtype|response\.request_id)$`)

// private are fields that only the real program has, and no reader of ours
// looks at.
var private = regexp.MustCompile(`^(ttft_ms|ttft_stream_ms|time_to_request_ms|timestamp|tool_use_result|message\..*|` +

	`analytics_disabled|product_feedback_disabled|memory_paths|response\.response\..*)$`)

// signature says what a line is: its fields by name, each with its value or the
// kind of it. Empty for lines that are left out of account.
func signature(l line) string {
	var fields map[string]any
	if json.Unmarshal([]byte(l.raw), &fields) != nil {
		return "garbage"
	}
	if strings.HasPrefix(l.Subtype, "task_") || l.Subtype == "status" || l.Type == "stream_event" && !strings.Contains(l.raw, "text_delta") {
		return ""
	}
	if l.Type == "assistant" {
		delete(fields, "request_id") // the stub's, sent by no fake
	}
	if strings.HasPrefix(l.Type, "control_") && fields["request_id"] != nil {
		fields["request_id"] = "its own"
	}
	out := describe("", fields)
	slices.Sort(out)
	return strings.Join(out, " ")
}

func describe(prefix string, fields map[string]any) []string {
	var out []string
	for name, v := range fields {
		name = prefix + name
		inner, isObject := v.(map[string]any)
		switch {
		case private.MatchString(name):
		case valued.MatchString(name):
			out = append(out, name+"="+toJSON(v))
		case isObject && (name == "response" || name == "message"):
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
