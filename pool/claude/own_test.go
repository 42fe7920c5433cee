package claude

import "testing"

// An own turn has one name, while it runs and when it has ended. Where no line says
// what began it, only a program that never says so for its scheduler is taken to mean
// the scheduler.
func TestOwnTurnsHaveOneName(t *testing.T) {
	const (
		lifecycle = `{"type":"command_lifecycle","command_uuid":"earlier","state":"completed"}`
		running   = `{"type":"system","subtype":"session_state_changed","state":"running"}`
		woken     = `{"type":"command_lifecycle","command_uuid":"x","state":"started","wakeup_source":"schedule_wakeup"}`
		peer      = `{"type":"command_lifecycle","command_uuid":"x","state":"started"}`
		other     = `{"type":"command_lifecycle","command_uuid":"x","state":"started","wakeup_source":"new"}`
	)
	for name, c := range map[string]struct {
		lines         []string
		during, after string
	}{
		"scheduler":         {[]string{running, woken}, OriginScheduler, OriginScheduler},
		"another session":   {[]string{running, peer}, OriginPeer, OriginPeer},
		"a later name":      {[]string{running, other}, "new", "new"},
		"not named":         {[]string{lifecycle, running}, "", ""},
		"without lifecycle": {[]string{running}, "", OriginScheduler},
	} {
		var a turnNotes
		note := func(line string) found {
			typ, sub, _ := route([]byte(line))
			return a.note(typ, sub, []byte(line), 0, false)
		}
		for _, line := range c.lines {
			note(line)
		}
		if a.Wakeup != c.during {
			t.Errorf("%s: %q while it runs", name, a.Wakeup)
		}
		f := note(`{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"r"}`)
		if f.own == nil || f.own.Origin != c.after {
			t.Errorf("%s: got %+v", name, f.own)
		}
	}
}
