package claude

import (
	"fmt"
	"slices"
	"testing"

	"iris/pool/turn"
)

// Work that a turn waits for is known by its id, and does not count as background
// work until the agent puts it into the background.
func TestTaskThatATurnWaitsFor(t *testing.T) {
	var a turnNotes
	note := func(subtype, line string) { a.note("system", subtype, []byte(line), 0, false) }
	started := func(id, typ string, background bool) {
		note("task_started", fmt.Sprintf(`{"task_id":%q,"description":"does %[1]s","subagent_type":"Explore","is_backgrounded":%v,"task_type":%q}`, id, background, typ))
	}
	beside := func(want ...string) {
		t.Helper()
		if got := a.background(false); !slices.Equal(got, want) {
			t.Errorf("beside the turn: %q, want %q", got, want)
		}
	}
	started("front", "local_agent", false)
	started("bash", "local_bash", false)
	started("back", "local_agent", true)
	if got := a.Tasks["front"]; got.Kind != "Explore" || got.What != "does front" {
		t.Errorf("got %+v", got)
	}
	beside("does back")
	if got := a.subagents(); !slices.Equal(got, []string{"does back"}) {
		t.Errorf("subagents: %q", got)
	}
	note("background_tasks_changed", `{"tasks":[{"task_id":"back"},{"task_id":"bash","task_type":"local_bash","description":"does bash"}]}`)
	beside("does back", "does bash")
	note("session_state_changed", `{"state":"idle"}`)
	if _, known := a.Tasks["front"]; known || len(a.Tasks) != 2 {
		t.Errorf("after the turn: %+v", a.Tasks)
	}
}

// A program that does not say where a task runs begins it in the same way in the
// foreground and in the background. In the background its tool call returns at once.
func TestTaskOfAProgramThatDoesNotSayWhereItRuns(t *testing.T) {
	const (
		bash    = `{"type":"system","subtype":"task_started","task_id":"b","tool_use_id":"c","description":"tests","task_type":"local_bash"}`
		agent   = `{"type":"system","subtype":"task_started","task_id":"b","tool_use_id":"c","description":"tests","subagent_type":"Explore","task_type":"local_agent"}`
		ended   = `{"type":"system","subtype":"task_notification","task_id":"b","tool_use_id":"c","status":"completed","summary":"tests"}`
		stopped = `{"type":"system","subtype":"task_notification","task_id":"b","tool_use_id":"c","status":"stopped","summary":"tests"}`
		running = `{"type":"user","message":{"role":"user","content":[{"tool_use_id":"c","type":"tool_result","content":"Command running in background with ID: b.","is_error":false}]},"parent_tool_use_id":null}`
		within  = `{"type":"user","message":{"role":"user","content":[{"tool_use_id":"c","type":"tool_result","content":"Command running in background with ID: b.","is_error":false}]},"parent_tool_use_id":"other"}`
		output  = `{"type":"user","message":{"role":"user","content":[{"tool_use_id":"c","type":"tool_result","content":"done","is_error":false}]},"parent_tool_use_id":null}`
		other   = `{"type":"user","message":{"role":"user","content":[{"tool_use_id":"c2","type":"tool_result","content":"c","is_error":false}]},"parent_tool_use_id":null}`
		refused = `{"type":"user","message":{"role":"user","content":[{"type":"tool_result","content":"The user doesn't want to proceed","is_error":true,"tool_use_id":"c"}]},"parent_tool_use_id":null}`
	)
	for name, c := range map[string]struct {
		lines []string
		lost  bool // it counts as background work when the agent goes
	}{
		"foreground":               {[]string{bash}, false},
		"another call returns":     {[]string{bash, other}, false},
		"foreground, has ended":    {[]string{bash, ended, output}, false},
		"foreground, broken off":   {[]string{bash, refused}, false},
		"killed with the agent":    {[]string{bash, stopped, refused}, false},
		"background":               {[]string{bash, running}, true},
		"background, of an agent":  {[]string{bash, within}, true},
		"background, has ended":    {[]string{bash, running, ended}, false},
		"foreground agent":         {[]string{agent}, false},
		"foreground agent, killed": {[]string{agent, refused, stopped}, false},
		"background agent":         {[]string{agent, output}, true},
	} {
		var a turnNotes
		for _, line := range c.lines {
			typ, sub, _ := route([]byte(line))
			a.note(typ, sub, []byte(line), 0, true) // as after a kill
		}
		if lost := len(a.background(true)) > 0; lost != c.lost {
			t.Errorf("%s: lost: %v", name, lost)
		}
	}
}

// The background work of every version is seen in its recording.
func TestRecordedBackgroundWork(t *testing.T) {
	for _, v := range versions {
		if r := replay(recorded(t, v, "background")); r == nil || !slices.Equal(r.Background, []string{"tests"}) {
			t.Errorf("%s: got %+v", v, r)
		}
	}
}

// A subagent that has ended but not reported when its agent is gone was a part of the
// message's work.
func TestAgentGoneBeforeASubagentReports(t *testing.T) {
	for name, ends := range map[string][]string{
		"works":     nil,
		"has ended": {`{"type":"system","subtype":"task_updated","task_id":"s","patch":{"status":"completed"}}`},
	} {
		var a turnNotes
		a.expect("u", false)
		for _, line := range append([]string{
			`{"type":"command_lifecycle","command_uuid":"u","state":"started"}`,
			`{"type":"system","subtype":"task_started","task_id":"s","description":"looks","is_backgrounded":true}`,
			`{"type":"result","subtype":"success","result":"launched","num_turns":2,"stop_reason":"end_turn","user_message_uuids":["u"]}`,
		}, ends...) {
			typ, sub, _ := route([]byte(line))
			if f := a.note(typ, sub, []byte(line), 0, false); f.over != nil {
				t.Errorf("%s: over at %s", name, line)
			}
		}
		if r := a.last(); r == nil || r.Outcome != turn.Incomplete || !slices.Equal(r.Background, []string{"looks"}) || r.Text != "launched" {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

// A subagent that has reported is no loss when the agent is gone before it is idle.
func TestAgentGoneAfterASubagentHasReported(t *testing.T) {
	var a turnNotes
	a.expect("u", false)
	for _, line := range []string{
		`{"type":"command_lifecycle","command_uuid":"u","state":"started"}`,
		`{"type":"system","subtype":"task_started","task_id":"s","run_id":"r","description":"looks","is_backgrounded":true}`,
		`{"type":"result","subtype":"success","result":"launched","num_turns":2,"stop_reason":"end_turn","user_message_uuids":["u"]}`,
		`{"type":"system","subtype":"task_updated","task_id":"s","patch":{"status":"completed"}}`,
		`{"type":"result","subtype":"success","result":"found","num_turns":1,"stop_reason":"end_turn","origin":{"kind":"task-notification","runId":"r"}}`,
	} {
		typ, sub, _ := route([]byte(line))
		a.note(typ, sub, []byte(line), 0, false)
	}
	if r := a.last(); r == nil || r.Outcome != turn.Success || r.Text != "found" || len(r.Background) > 0 {
		t.Errorf("got %+v", r)
	}
}

// A message that is interrupted while its subagents work ends as interrupted if that has
// cut off their work. If all have reported before, the answer wins.
func TestInterruptWhileSubagentsWork(t *testing.T) {
	for want, lines := range map[turn.Outcome][]string{
		turn.Interrupted: {`{"type":"system","subtype":"task_updated","task_id":"s","patch":{"status":"killed"}}`},
		turn.Success: {
			`{"type":"system","subtype":"task_updated","task_id":"s","patch":{"status":"completed"}}`,
			`{"type":"result","subtype":"success","result":"found","num_turns":1,"stop_reason":"end_turn","origin":{"kind":"task-notification","runId":"r"}}`,
		},
	} {
		var a turnNotes
		a.expect("u", false)
		var last found
		for _, line := range slices.Concat([]string{
			`{"type":"command_lifecycle","command_uuid":"u","state":"started"}`,
			`{"type":"system","subtype":"task_started","task_id":"s","run_id":"r","description":"looks","is_backgrounded":true}`,
			`{"type":"result","subtype":"success","result":"launched","num_turns":2,"stop_reason":"end_turn","user_message_uuids":["u"]}`,
		}, lines, []string{`{"type":"system","subtype":"session_state_changed","state":"idle"}`}) {
			typ, sub, _ := route([]byte(line))
			last = a.note(typ, sub, []byte(line), 0, false)
		}
		if r := broken(last.over, false, last.cutOff); r == nil || r.Outcome != want {
			t.Errorf("got %+v, want %s", r, want)
		}
	}
}
