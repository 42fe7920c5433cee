package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// No message goes to an agent without the rules of its settings: one that runs has lost
// them when the file does not parse, and a new one would begin without them.
func TestSettingsThatDoNotParseStopMessages(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, fmt.Sprintf("[teams.api]\ndir = %q\ncommand = %q\n", dir, claudetest.Install(t.TempDir())))
	save := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, ".claude", "settings.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".claude"), 0o700); err != nil {
		t.Fatal(err)
	}
	save("{}")
	if _, err := ask(d, "api", "echo:x"); err != nil {
		t.Fatal(err)
	}
	save("{\n  \"permissions\": {\"deny\": [\"Bash\"\n")
	where := filepath.Join(dir, ".claude", "settings.json") + ":2:34 does not parse"
	list := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes
	if len(list) != 1 || !strings.Contains(list[0].Why, where) {
		t.Errorf("the list says %+v", list)
	}
	_, err := ask(d, "api", "echo:x")
	wantCode(t, err, ipc.CodeCannotRun, where)
	if e, ok := errors.AsType[*ipc.Error](err); !ok || !strings.HasPrefix(e.Data.Hint, "put it right") {
		t.Errorf("the hint: %+v", e)
	}
	if found := mustCall[ipc.Examination](d, ipc.MethodExamine, struct{}{}).Teams[0]; !strings.Contains(found.SettingsError, where) {
		t.Errorf("the examination says %+v", found)
	}
	save("{}")
	if _, err := ask(d, "api", "echo:x"); err != nil {
		t.Error(err)
	}
}

// An update takes the program away for a moment. A start waits for it, if the program has run
// before; otherwise nobody waits for what is not installed.
func TestUpdateOfTheProgramIsWaitedFor(t *testing.T) {
	program := claudetest.Install(t.TempDir())
	d := startDaemon(t, fmt.Sprintf("[teams.api]\ndir = %q\ncommand = %q\n", t.TempDir(), program))
	self, err := os.Readlink(program)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(d, "api", "echo:x"); err != nil {
		t.Fatal(err)
	}
	mustCall[ipc.Stopped](d, ipc.MethodEvict, ipc.Target{Team: "api"})
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	st := submit(d, ipc.Send{Team: "api", Text: "echo:y"})
	eventually(t, "the start that waits", func() bool {
		list := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes
		return len(list) == 1 && list[0].State == "starting"
	})
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	if end := awaitEnd(d, st.ID); end.State != "done" || answer(d, st.ID) != "y" {
		t.Errorf("got %+v: %s", end, show(d, st.ID).Error)
	}
}

// An editor or a git checkout takes an env_file away for a moment.
func TestEnvFileThatIsBeingSavedIsWaitedFor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "api.env")
	save := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("A=1\n")
	d := startDaemon(t, fmt.Sprintf("[teams.api]\ndir = %q\ncommand = %q\nenv_file = %q\n", t.TempDir(), claudetest.Install(t.TempDir()), file))
	if _, err := ask(d, "api", "echo:x"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	st := submit(d, ipc.Send{Team: "api", Text: "echo:y"})
	eventually(t, "the start that waits", func() bool {
		list := mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes
		return len(list) == 1 && list[0].State == "starting"
	})
	save("A=")
	if end := awaitEnd(d, st.ID); end.State != "done" || answer(d, st.ID) != "y" {
		t.Errorf("got %+v: %s", end, show(d, st.ID).Error)
	}
	save("A=\"")
	_, err := ask(d, "api", "echo:x")
	wantCode(t, err, ipc.CodeCannotRun, file+":1: A: the closing quote is missing")
}
