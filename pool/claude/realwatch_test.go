package claude

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iris/pool"
)

// The program refuses the same settings files as iris does.
func TestRealSettingsThatParse(t *testing.T) {
	for texts := range slices.Chunk(settingsTexts, 3) {
		r := realRig(t)
		home := lookup(r.o.Env, "HOME")
		files := []string{
			filepath.Join(r.o.Dir, ".claude", "settings.json"), filepath.Join(r.o.Dir, ".claude", "settings.local.json"),
			filepath.Join(home, ".claude", "settings.json"),
		}
		for i, c := range texts {
			put(t, c.text, files[i])
		}
		res, err := r.start().call(t.Context(), "get_settings")
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Errors []struct{ File string }
		}
		decode(res.Body, &said)
		for i, c := range texts {
			refused := slices.ContainsFunc(said.Errors, func(e struct{ File string }) bool { return e.File == files[i] })
			if refused != (c.want != "") || refused != (unparsed(files[i]) != nil) {
				t.Errorf("%s: refused by the program: %v, by iris: %v", c.name, refused, unparsed(files[i]))
			}
		}
	}
}

// A settings file that parses, but has a value of a wrong kind, is ignored whole.
func TestRealSettingsThatAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"permissions.deny: ":        `{"permissions":{"deny":"Bash(echo *)"}}`,
		"permissions.defaultMode: ": `{"permissions":{"defaultMode":"bogus","deny":["Bash(echo *)"]}}`,
		"model: ":                   `{"model":5,"permissions":{"deny":["Bash(echo *)"]}}`,
		"":                          `{"unknown":1,"permissions":{"deny":["Bash(echo *)",5],"allow":["bogus("]},"hooks":{"Bogus":[]}}`,
	} {
		r := realRig(t)
		file := put(t, text, r.o.Dir, ".claude", "settings.json")
		r.o.Watch = Sources(r.o.Dir, r.o.Env, nil)
		if name != "" {
			startIsRefused(t, r, file+": "+name)
		} else if res := send(t, r.start(), `tool:Bash:{"command":"echo hi","description":"d"}`); len(res.Denials) != 1 {
			t.Errorf("beside harmless faults the rules are not obeyed: %+v", res)
		}
	}
}

// A running program reads its settings again by itself. From a file that does not parse
// it has no rules any more, so that it must not get a message.
func TestRealSettingsAreReadAgain(t *testing.T) {
	r := realRig(t)
	file := put(t, `{"permissions":{"deny":["Bash(echo *)"]}}`, r.o.Dir, ".claude", "settings.json")
	r.o.Watch = Sources(r.o.Dir, r.o.Env, nil)
	p := r.start()
	const echo = `tool:Bash:{"command":"echo hi","description":"d"}`
	if res := send(t, p, echo); len(res.Denials) != 1 {
		t.Fatalf("got %+v", res)
	}
	put(t, `{"permissions":{"deny":["Bash(ec`, file)
	if why := p.Stale(); why != "settings.json does not parse" {
		t.Errorf("got %q", why)
	}
	eventually(t, "the program has lost its rules; if it keeps them now, such a file need not replace a running agent", func() bool {
		return len(send(t, p, echo).Denials) == 0
	})
}

// Commands, agents and skills that are made or changed after the start are there in the
// next turn, at once, and even in directories that are new.
func TestRealReload(t *testing.T) {
	r := realRig(t)
	r.o.Watch = Sources(r.o.Dir, r.o.Env, nil)
	p := r.start()
	ask(t, p, "echo:one", "one")
	home := lookup(r.o.Env, "HOME")
	for _, text := range []string{"first", "second, and longer"} {
		command := put(t, "echo:"+text, r.o.Dir, "..", ".claude", "commands", "tell.md")
		put(t, "---\nname: reviewer\ndescription: x\n---\n"+text, r.o.Dir, ".claude", "agents", "reviewer.md")
		put(t, "---\nname: plan\ndescription: x\n---\n"+text, home, ".claude", "skills", "plan", "SKILL.md")
		if why := p.Stale(); why != "" {
			t.Errorf("stale: %s", why)
		}
		var init string
		res, err := sendSeen(context.Background(), p, &Message{Text: "/tell"}, func(line []byte) {
			if typ, sub, _ := route(line); typ == "system" && sub == "init" {
				init = string(line)
			}
		})
		if err != nil || res.Text != text {
			t.Errorf("%s: got %+v, %v", command, res, err)
		}
		for _, name := range []string{`"tell"`, `"plan"`, `"reviewer"`} {
			if !strings.Contains(init, name) {
				t.Errorf("no %s in %s", name, init)
			}
		}
	}
}

// A hook that takes longer than start_timeout is named.
func TestRealStartWaitsForHooks(t *testing.T) {
	r := realRig(t)
	gate, open := gate(t)
	defer open()
	put(t, fmt.Sprintf(`{"hooks":{"SessionStart":[{"hooks":[{"type":"command","command":%q}]}]}}`, untilOpen(gate)), r.o.Dir, ".claude", "settings.json")
	r.o.StartTimeout = 5 * time.Second
	_, err := Start(context.Background(), r.o)
	if start, ok := errors.AsType[*pool.StartError](err); !ok || start.Permanent || !strings.Contains(err.Error(), "(start_timeout): ") || !strings.Contains(err.Error(), "SessionStart") {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(r.o.Spools); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
