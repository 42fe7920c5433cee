package daemon

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"iris/ipc"
)

// Parameters that no command of iris sends are refused, by each method that takes them, and
// nothing of them is kept.
func TestBadParametersAreRefused(t *testing.T) {
	d := startDaemon(t, "")
	type object = map[string]any
	status := func(err error) int {
		var e *ipc.Error
		if !errors.As(err, &e) {
			return 0
		}
		return e.Code
	}
	check := func(method string, params object) {
		t.Helper()
		_, err := call[any](d, method, params)
		if status(err) != ipc.CodeUsage {
			t.Errorf("%s with %.100v: %.200v", method, params, err)
		}
	}
	long, id := strings.Repeat("x", 100_000), ipc.FormatID(1, 1)
	for _, name := range []string{"~", "~x", "~\x1b[2J", "~../../x", "~" + long, "~" + strings.ToUpper(id) + "U", "a/b", "\x00", long, " "} {
		for _, method := range []string{
			ipc.MethodSend, ipc.MethodSubmit, ipc.MethodKill, ipc.MethodEvict, ipc.MethodRestart, ipc.MethodWake,
			ipc.MethodReset, ipc.MethodRewind, ipc.MethodLocate, ipc.MethodResult, ipc.MethodShow, ipc.MethodMessages, ipc.MethodUsage, ipc.MethodWhy,
		} {
			p := object{"team": "echo", "session": name}
			switch method {
			case ipc.MethodSend, ipc.MethodSubmit:
				p["text"] = "x"
			case ipc.MethodMessages, ipc.MethodUsage, ipc.MethodWhy:
				if name == "~" { // the sum of all single messages
					continue
				}
			}
			if method == ipc.MethodUsage {
				p["by"] = "team"
			}
			check(method, p)
		}
	}
	check(ipc.MethodWake, object{"team": "echo", "session": "~" + id})
	check(ipc.MethodSend, object{"team": "echo", "session": "~" + id, "text": "x"})
	for name, bad := range map[string][]any{
		"id": {"x", long, id + "0"}, "key": {long}, "origin": {long}, "on_unknown": {long, "x"}, "if_busy": {long, "x"},
		"ttl_ms": {-1, 1 << 60}, "team": {"", long, "a\x1bb", "/a\x1bb", "a/b"},
	} {
		for _, value := range bad {
			for _, method := range []string{ipc.MethodSend, ipc.MethodSubmit} {
				p := object{"team": "echo", "text": "x"}
				p[name] = value
				_, err := call[any](d, method, p)
				if s := status(err); s != ipc.CodeUsage && (name != "team" || s != ipc.CodeNotFound) {
					t.Errorf("%s with %s %.100v: %.200v", method, name, value, err)
				}
			}
		}
	}
	check(ipc.MethodRetry, object{"id": id, "new_id": "x"})
	check(ipc.MethodResolve, object{"id": id, "state": "done", "note": long})
	check(ipc.MethodResolve, object{"id": id, "state": long})
	check(ipc.MethodWait, object{"ids": make([]string, 5000)})
	if l := mustCall[ipc.MessageList](d, ipc.MethodMessages, struct{}{}); len(l.Messages) > 0 {
		t.Errorf("kept: %s", fmt.Sprint(l.Messages))
	}
	if l := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}); l.Total > 0 {
		t.Errorf("started: %+v", l.Processes)
	}
}
