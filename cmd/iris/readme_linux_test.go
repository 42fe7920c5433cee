package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"iris/config/sys/systest"
	"iris/ipc"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeIsShortAndTrue holds the README to its length, and its facts to the
// places that they come from.
func TestReadmeIsShortAndTrue(t *testing.T) {
	text := readme(t)
	if n := strings.Count(text, "\n"); n > 170 {
		t.Errorf("the README has %d lines, at most 170 are allowed", n)
	}
	ci, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	wants := []string{"go test ./..."}
	for _, m := range regexp.MustCompile(`(?m)^(?:newest|oldest)=(\S+)$`).FindAllSubmatch(ci, -1) {
		wants = append(wants, string(m[1]))
	}
	if len(wants) != 3 {
		t.Fatalf(".ci/run has other words: %q", wants)
	}
	for _, page := range regexp.MustCompile(`man/iris[a-z-]*\.\d`).FindAllString(text, -1) {
		if _, err := os.Stat("../../" + page); err != nil {
			t.Error(err)
		}
	}
	_, list, _ := strings.Cut(newRootCmd().Long, exitHeading)
	for code := range strings.FieldsSeq(list) {
		wants = append(wants, fmt.Sprintf("\n| %s | ", code))
	}
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("the README has no %q", want)
		}
	}
	if !strings.Contains(list, fmt.Sprint(ipc.CodeFull)) {
		t.Errorf("iris(1) lists the statuses %q", list)
	}
}

// TestReadmeHasTheGlossary compares the README's table of words with iris(1).
func TestReadmeHasTheGlossary(t *testing.T) {
	_, list, _ := strings.Cut(rootSections, "GLOSSARY\n")
	list, _, _ = strings.Cut(list, "\n\n")
	lines := strings.Split(list, "\n")
	if len(lines) != 11 {
		t.Errorf("the glossary has %d words", len(lines))
	}
	for _, line := range lines {
		word, meaning, _ := strings.Cut(strings.TrimSpace(line), " ")
		if row := "| " + word + " | " + strings.TrimSpace(meaning) + " |"; !strings.Contains(readme(t), row) {
			t.Errorf("the README has no row %q", row)
		}
	}
}

// A real session looks like that of the README, except for ids, numbers and the space
// between columns.
func TestSessionOfTheReadme(t *testing.T) {
	t.Parallel()
	systest.Needs(t, "bash", "jq")
	iris := irisPath(t)
	h := newHouse(t, iris, "env = { GORACE = \"atexit_sleep_ms=0\" }\n")
	_, session, _ := strings.Cut(readme(t), "\n```console\n")
	session, _, ok := strings.Cut(session, "```\n")
	if !ok {
		t.Fatal("the README has no session")
	}
	var script strings.Builder
	for line := range strings.Lines(session) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			// A busy machine takes a second for less.
			command = strings.NewReplacer("/sleep 10s", "/sleep 12s", "--timeout 1s", "--timeout 5s").Replace(command)
			fmt.Fprintf(&script, "printf '$ %%s' '%s'\n{ %s} < /dev/null\n", strings.ReplaceAll(command, "'", `'\''`), command)
		}
	}
	cmd := exec.Command("bash", "-c", "exec 2>&1\n"+script.String())
	cmd.Env, cmd.Dir = h.env, t.TempDir()
	out, err := cmd.Output()
	if err != nil {
		t.Error(err)
	}
	if got, want := alike(string(out)), alike(session); got != want {
		t.Errorf("got\n%s\nwant\n%s", out, session)
	}
}

// alike removes the parts of a session that differ each time.
func alike(session string) string {
	for pattern, by := range map[string]string{`\b01[0-9a-z]{14}\b`: "ID", `\b\d+s( ago)?|\bnow\b`: "then", `\b\d+\b`: "N", `[\dN]+(\.[\dN]+)? MiB`: "size", ` +`: " "} {
		session = regexp.MustCompile(pattern).ReplaceAllString(session, by)
	}
	return session
}
