package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"iris/config/sys/systest"
	"iris/pool/claude/claudetest"
)

// The script that anybody may paste works as it is.
func TestScriptOfTheRecipes(t *testing.T) {
	t.Parallel()
	systest.Needs(t, "bash", "jq")
	text := recipes(t, "A SCRIPT")[0]
	if n := strings.Count(text, "\n"); n > 32 { // 30 of the script, and the lines around it
		t.Errorf("it has %d lines", n)
	}
	iris := irisPath(t)
	paste := func(h *house, text string) (out, answers string) {
		t.Helper()
		cmd := exec.Command("bash")
		cmd.Env, cmd.Dir, cmd.Stdin = h.env, t.TempDir(), strings.NewReader(text)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		said, err := cmd.Output()
		if err != nil || errs.Len() > 0 {
			t.Errorf("%v\n%s", err, errs.Bytes())
		}
		json, err := os.ReadFile(filepath.Join(cmd.Dir, "answers.json"))
		if err != nil {
			t.Error(err)
		}
		return string(said), string(json)
	}
	h := newHouse(t, iris, "env = { GORACE = \"atexit_sleep_ms=0\" }\n")
	const question = "Which dependency is out of date?"
	out, answers := paste(h, text)
	want := "echo@one: " + question + "\necho@two: " + question + "\necho@three: " + question + "\nstatus 0\n"
	if out != want {
		t.Errorf("got %q", out)
	}
	var all []struct{ Team, Session, Outcome, Text string }
	if err := json.Unmarshal([]byte(answers), &all); err != nil || len(all) != 3 || all[2].Session != "three" || all[2].Text != question {
		t.Errorf("got %s, %v", answers, err)
	}

	// Each status has its line.
	toml := "env = { GORACE = \"atexit_sleep_ms=0\" }\n"
	for name, args := range map[string]string{"denied": "denied", "limited": "429", "failed": "500"} {
		toml += fmt.Sprintf("[teams.%s]\ndir = %q\ncommand = %q\nargs = [\"--append-system-prompt\", %q]\naccount = %[1]q\non_limit = \"fail\"\n", name, t.TempDir(), claudetest.Install(t.TempDir()), args)
	}
	h.configure(toml)
	h.run("daemon", "reload")
	text = strings.Replace(text, "teams=(echo@one echo@two echo@three)", "teams=(denied limited failed a+b nobody echo)", 1)
	text = strings.Replace(text, `"$1" >`, `"$(case $team in denied) echo fail:denied;; limited) echo fail:429;; failed) echo fail:500;; *) echo "$1";; esac)" >`, 1)
	out, _ = paste(h, text)
	for _, line := range []string{
		`(?m)^denied: .*\(without \w+\)$`, `(?m)^limited: .*; again later$`, `(?m)^failed: failed with status 13: .`,
		`(?m)^nobody: failed with status 4: no team "nobody"$`, `(?m)^a\+b: failed with status 2: iris: team name "a\+b"`, `(?m)^echo: Which`, `(?m)^status 4$`,
	} {
		if !regexp.MustCompile(line).MatchString(out) {
			t.Errorf("no %s in\n%s", line, out)
		}
	}
	if strings.Count(out, "iris: ") != 1 {
		t.Errorf("an error is said twice in\n%s", out)
	}
}

// TestRecipesCanBePasted checks that man shows the code of iris-recipes(7) as the
// tests run it, from the first column.
func TestRecipesCanBePasted(t *testing.T) {
	t.Parallel()
	page, err := filepath.Abs("../../man/iris-recipes.7")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(systest.Needs(t, "man", "groff"), page)
	cmd.Env = append(os.Environ(), "MANWIDTH=80", "MANPAGER=cat", "LC_ALL=C.UTF-8", "GROFF_NO_SGR=1")
	shown := run(t, cmd)
	for _, heading := range []string{"A SCRIPT", "CRON", "SYSTEMD", "NOTIFY"} {
		for _, code := range recipes(t, heading) {
			if !strings.Contains(shown, "\n"+code) {
				t.Errorf("man does not show\n%s", code)
			}
		}
	}
}
