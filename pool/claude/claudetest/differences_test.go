package claudetest

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// readMembers is what iris reads of each kind of line. A newer program in which one of
// these is missing or different breaks iris; anything else may change.
var readMembers = map[string][]string{
	"system init":                     {"session_id", "permissionMode"},
	"system session_state_changed":    {"state"},
	"system background_tasks_changed": {"tasks"},
	"system task_started":             {"task_id", "task_type", "description", "is_backgrounded", "run_id"},
	"system task_updated":             {"task_id", "patch.status"},
	"system task_notification":        {"task_id", "status", "summary"},
	"system permission_denied":        {"tool_name", "tool_use_id"},
	"command_lifecycle":               {"command_uuid", "state", "wakeup_source"},
	"conversation_reset":              {"new_conversation_id"},
	"control_request":                 {"request_id", "request.subtype", "request.tool_name", "request.input", "request.description", "request.blocked_path", "request.permission_suggestions", "request.tool_use_id"},
	"control_cancel_request":          {"request_id"},
	"control_response":                {"response.subtype", "response.request_id", "response.response.mode", "response.response.still_queued"},
	"assistant":                       {"message.content", "parent_tool_use_id"},
	"user":                            {"message.content", "parent_tool_use_id", "isReplay"},
	"stream_event":                    {"event"},
	"result": {
		"subtype", "is_error", "api_error_status", "result", "errors", "num_turns", "stop_reason", "session_id", "terminal_reason",
		"total_cost_usd", "duration_api_ms", "usage", "modelUsage", "model_usage_since_last_result", "permission_denials",
		"origin.kind", "origin.runId", "user_message_uuids", "local_command", "deferred_tool_use",
	},
}

// recorded is one line of a record: its kind and its members, each with its value or
// its kind. A line that is no output has no kind.
type recorded struct {
	kind    string
	members map[string]string
	text    string
}

var member = regexp.MustCompile(`^([A-Za-z_.]+)([=:])(.*)$`)

func parseRecorded(text string) recorded {
	r := recorded{members: map[string]string{}, text: text}
	for _, f := range strings.Split(text, "  ") {
		if m := member.FindStringSubmatch(f); m != nil {
			r.members[m[1]] = m[3]
		}
	}
	r.kind = strings.Trim(r.members["type"], `"`)
	if r.kind == "system" {
		r.kind += " " + strings.Trim(r.members["subtype"], `"`)
	}
	return r
}

// read is the part of the line that iris reads, empty for a line that it does not.
func (r recorded) read() string {
	names, ok := readMembers[r.kind]
	if !ok {
		return ""
	}
	out := []string{r.kind}
	for _, name := range names {
		if v, ok := r.members[name]; ok {
			out = append(out, name+"="+v)
		}
	}
	return strings.Join(out, " ")
}

// difference is one way in which a version differs from another.
type difference struct {
	words  string
	breaks bool // in something that iris reads
}

// differences tells in words how got differs from old, in the cases that both have.
func differences(old, got golden) []difference {
	old = maps.Clone(old)
	maps.DeleteFunc(old, func(name string, _ []string) bool { return got[name] == nil })
	out := kindDifferences(old, got)
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if record, ok := got[name]; ok {
			out = append(out, caseDifferences(name, old[name], record)...)
		}
	}
	return out
}

// kindDifferences tells which lines and members are new and which are gone.
func kindDifferences(old, got golden) (out []difference) {
	before, now := membersByKind(old), membersByKind(got)
	for _, kind := range slices.Sorted(maps.Keys(before)) {
		if now[kind] == nil {
			out = append(out, difference{"there are no " + kind + " lines any more", readMembers[kind] != nil})
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(before[kind])) {
			if !now[kind][name] {
				out = append(out, difference{kind + " lines no longer have the member " + name, slices.Contains(readMembers[kind], name)})
			}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(now)) {
		if before[kind] == nil {
			out = append(out, difference{"there are new lines: " + kind, false})
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(now[kind])) {
			if !before[kind][name] {
				out = append(out, difference{kind + " lines have a new member " + name, false})
			}
		}
	}
	return out
}

func membersByKind(g golden) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, record := range g {
		for _, text := range record {
			r := parseRecorded(text)
			if r.kind == "" {
				continue
			}
			if out[r.kind] == nil {
				out[r.kind] = map[string]bool{}
			}
			for name := range r.members {
				out[r.kind][name] = true
			}
		}
	}
	return out
}

// caseDifferences tells how one case goes differently.
func caseDifferences(name string, old, got []string) (out []difference) {
	tell := func(breaks bool, format string, args ...any) {
		out = append(out, difference{"case " + name + ": " + fmt.Sprintf(format, args...), breaks})
	}
	before, statuses := readLines(old)
	now, newStatuses := readLines(got)
	if !slices.Equal(statuses, newStatuses) {
		tell(false, "%s where it was %s", strings.Join(newStatuses, ", "), strings.Join(statuses, ", "))
	}
	if !slices.EqualFunc(before, now, func(a, b recorded) bool { return a.kind == b.kind }) {
		for _, l := range without(before, now) {
			tell(true, "no line %s", l.read())
		}
		for _, l := range without(now, before) {
			tell(false, "a new line %s", l.read())
		}
		return out
	}
	for i, l := range before {
		for _, m := range readMembers[l.kind] {
			was, is := l.members[m], now[i].members[m]
			if was != is {
				tell(was != "", "in a %s line %s is %s where it was %s", l.kind, m, orNothing(is), orNothing(was))
			}
		}
	}
	return out
}

// readLines returns the lines that iris reads, and how the processes ended.
func readLines(record []string) (lines []recorded, statuses []string) {
	for _, text := range record {
		switch r := parseRecorded(text); {
		case r.kind == "":
			statuses = append(statuses, strings.TrimSpace(text))
		case readMembers[r.kind] != nil:
			lines = append(lines, r)
		}
	}
	return lines, statuses
}

// without returns the lines of a that b does not have, each as often as it is
// there more often.
func without(a, b []recorded) (out []recorded) {
	count := map[string]int{}
	for _, l := range b {
		count[l.read()]++
	}
	for _, l := range a {
		if count[l.read()]--; count[l.read()] < 0 {
			out = append(out, l)
		}
	}
	return out
}

func orNothing(s string) string {
	if s == "" {
		return "missing"
	}
	return s
}

// newestGolden returns the newest version of which there is a record.
func newestGolden(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(goldenFile("*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no records: %v", err)
	}
	return slices.MaxFunc(versionsOf(files), compareVersions)
}

func versionsOf(files []string) (versions []string) {
	for _, f := range files {
		versions = append(versions, strings.TrimSuffix(strings.TrimPrefix(f, "testdata/conformance-"), ".json"))
	}
	return versions
}

func compareVersions(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return cmp.Compare(x, y)
	})
}

// tellDifferences logs how a version differs from the newest of which there is a
// record, and fails where iris would notice.
func tellDifferences(t *testing.T, version string, got golden) {
	t.Helper()
	newest := newestGolden(t)
	old, err := readGolden(newest)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences(old, got) {
		words := fmt.Sprintf("%s against %s: %s", version, newest, d.words)
		if d.breaks {
			t.Error(words + " (iris reads this)")
		} else {
			t.Log(words)
		}
	}
}

func TestDifferencesAreToldInWords(t *testing.T) {
	old := golden{
		"hello":   {`is_error=false  num_turns=1  type="result"`, `state="idle"  subtype="session_state_changed"  type="system"`, "exit status 1"},
		"unknown": {`key:string  subtype="notification"  type="system"`, `result:string  type="result"`, "exit status 0"},
		"tool":    {`is_error=false  num_turns=1  type="result"`, `type="control_cancel_request"  request_id:string`, "exit status 0"},
		"not run": {`event:object  type="stream_event"`, "exit status 0"},
	}
	got := golden{
		"hello":   {`foo:string  is_error=true  num_turns=1  type="result"`, `state="idle"  subtype="session_state_changed"  type="system"`, "exit status 0"},
		"unknown": {`result:number  type="result"`, "exit status 0"},
		"tool":    {`is_error=false  num_turns=1  type="result"`, `a:string  type="brand_new"`, "exit status 0"},
	}
	want := []difference{
		{"there are no control_cancel_request lines any more", true},
		{"there are no system notification lines any more", false},
		{"there are new lines: brand_new", false},
		{"result lines have a new member foo", false},
		{"case hello: exit status 0 where it was exit status 1", false},
		{"case hello: in a result line is_error is true where it was false", true},
		{"case tool: no line control_cancel_request request_id=string", true},
		{"case unknown: in a result line result is number where it was string", true},
	}
	if got := differences(old, got); !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if got := differences(old, old); got != nil {
		t.Errorf("a version differs from itself: %v", got)
	}
}

func TestTheNewestRecordIsTakenByItsNumber(t *testing.T) {
	versions := versionsOf([]string{goldenFile("2.1.97"), goldenFile("2.1.332"), goldenFile("2.0.400"), goldenFile("2.1.197")})
	if got := slices.MaxFunc(versions, compareVersions); got != "2.1.332" {
		t.Errorf("got %s", got)
	}
	if _, err := os.Stat(goldenFile(newestGolden(t))); err != nil {
		t.Error(err)
	}
	if got := newestGolden(t); got != Version {
		t.Errorf("the newest record is of %s, and the fake says that it is %s", got, Version)
	}
}

// TestWhatIrisReadsIsWritten holds the list of what iris reads against the record
// of the newest version.
func TestWhatIrisReadsIsWritten(t *testing.T) {
	g, err := readGolden(newestGolden(t))
	if err != nil {
		t.Fatal(err)
	}
	written := membersByKind(g)
	for kind, names := range readMembers {
		for _, name := range names {
			if !written[kind][name] && name != "wakeup_source" { // only after a minute
				t.Errorf("no %s line has the member %s", kind, name)
			}
		}
	}
}
