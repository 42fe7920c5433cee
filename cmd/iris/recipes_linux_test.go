package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/cmd/iris/internal/systemd"
	"iris/config/sys/systest"
	"iris/pool/claude/claudetest"
)

// recipes returns the pieces of code below a heading of iris-recipes(7): lines
// that are indented, and the blank ones between them.
func recipes(t *testing.T, heading string) (blocks []string) {
	t.Helper()
	_, below, ok := strings.Cut(testText(t, "recipes.txt"), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("iris-recipes(7) has no heading %q", heading)
	}
	code, blank := false, ""
	for line := range strings.Lines(below) {
		switch {
		case isHeading(line):
			return blocks
		case line == "\n":
			blank = line
			continue
		case line[0] != ' ':
			code = false
			continue
		case !code:
			blocks, code, blank = append(blocks, ""), true, ""
		}
		blocks[len(blocks)-1] += blank + strings.TrimPrefix(line, "  ")
		blank = ""
	}
	return blocks
}

// A cronHouse is the home of a user with the jobs of iris-recipes(7).
type cronHouse struct {
	*house
	t     *testing.T
	lines map[string]string // of the crontab, by the name of the script
}

// agentsOf is a configuration in which each of these teams has an agent that repeats
// each message.
func agentsOf(t *testing.T, teams ...string) (toml string) {
	t.Helper()
	for _, name := range teams {
		toml += fmt.Sprintf("[teams.%s]\ndir = %q\nagent = \"echo\"\n", name, t.TempDir())
	}
	return toml
}

func newCronHouse(t *testing.T) *cronHouse {
	t.Helper()
	iris := irisPath(t)
	h := &cronHouse{house: newHouse(t, iris, ""), t: t, lines: map[string]string{}}
	h.env = h.cronEnv() // where "daemon stop" looks for the daemon
	h.write(".config/iris/config.toml", 0o600, "env = { GORACE = \"atexit_sleep_ms=0\" }\n"+agentsOf(t, "docs", "api", "web"))
	h.mkdir("go/bin")
	if err := os.Link(iris, filepath.Join(h.dir, "go/bin/iris")); err != nil {
		t.Fatal(err)
	}
	for _, text := range recipes(t, "CRON") {
		if name := regexp.MustCompile(`^#!.*\n# ~/bin/(\w+)`).FindStringSubmatch(text); name != nil {
			h.write("bin/"+name[1], 0o700, text)
			continue
		}
		for line := range strings.Lines(text) {
			if name := regexp.MustCompile(`^\S+ \S+ \S+ \S+ \S+ +(.*/bin/(\w+)")$`).FindStringSubmatch(strings.TrimSpace(line)); name != nil {
				h.lines[name[2]] = name[1]
			}
		}
	}
	if len(h.lines) != 4 {
		t.Fatalf("got the jobs %q", h.lines)
	}
	return h
}

func (h *cronHouse) write(name string, mode os.FileMode, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	h.mkdir(filepath.Dir(name))
	if err := writeProgram(path, text, mode); err != nil {
		h.t.Fatal(err)
	}
}

func (h *cronHouse) read(name string) string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		h.t.Error(err)
	}
	return string(text)
}

// cronEnv is the whole environment that cron gives to a job. If the user who runs the
// tests has a daemon in the directory that cron's iris would find, it names another
// directory.
func (h *cronHouse) cronEnv() []string {
	env := []string{"HOME=" + h.dir, "LOGNAME=" + os.Getenv("USER"), "SHELL=/bin/sh", "PATH=/usr/bin:/bin"}
	if _, err := os.Stat(filepath.Join("/run/user", strconv.Itoa(os.Getuid()))); err == nil {
		env = append(env, "XDG_RUNTIME_DIR="+filepath.Join(h.dir, "run"))
	}
	return env
}

// cron runs one job as cron does, and returns what would be mailed.
func (h *cronHouse) cron(job string) (mail string, status int) {
	h.t.Helper()
	cmd := exec.Command("/bin/sh", "-c", "umask 077; "+h.lines[job])
	cmd.Env, cmd.Dir = h.cronEnv(), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal
	stdin, err := cmd.StdinPipe()                        // a pipe with nothing in it
	if err != nil {
		h.t.Fatal(err)
	}
	stdin.Close()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (h *cronHouse) silently(job string) {
	h.t.Helper()
	if mail, status := h.cron(job); mail != "" || status != 0 {
		h.t.Errorf("%s: status %d, mail %q", job, status, mail)
	}
}

// messages counts those that were accepted.
func (h *cronHouse) messages() int {
	h.t.Helper()
	return strings.Count(h.run("messages", "-q"), "\n")
}

func TestCronJobForTheNight(t *testing.T) {
	t.Parallel()
	h := newCronHouse(t)
	h.silently("nightly")
	h.silently("nightly")
	if got := h.read("report.md"); got != "What has changed since yesterday?\n" {
		t.Errorf("got %q", got)
	}
	if n := h.messages(); n != 1 {
		t.Errorf("%d messages", n)
	}
	if fi, err := os.Stat(filepath.Join(h.dir, "report.md")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", fi, err)
	}
}

// fakeTeams has the scripted agent serve a team, or not start while the file
// "broken" is there.
func (h *cronHouse) fakeTeam(name string) (broken string) {
	h.t.Helper()
	broken = filepath.Join(h.dir, "broken")
	h.write(".config/iris/config.toml", 0o600, "env = { GORACE = \"atexit_sleep_ms=0\" }\n"+fmt.Sprintf(
		"[teams.%s]\ndir = %q\ncommand = %q\nargs = [\"--fake-broken=%s\"]\n", name, h.t.TempDir(), claudetest.Install(h.t.TempDir()), broken))
	return broken
}

func TestCronJobThatFailsIsMailedAndLosesNothing(t *testing.T) {
	t.Parallel()
	h := newCronHouse(t)
	h.silently("nightly")
	broken := h.fakeTeam("docs")
	h.write("broken", 0o600, "")
	h.run("daemon", "stop") // what it remembers of the key is on disk: another question is needed
	h.write("bin/nightly", 0o700, strings.Replace(h.read("bin/nightly"), "report-", "again-", 1))
	mail, status := h.cron("nightly")
	if status != 8 || !strings.Contains(mail, "iris: team docs") || !strings.HasSuffix(mail, "status 8: "+h.dir+"/bin/nightly\n") {
		t.Errorf("status %d, mail %q", status, mail)
	}
	if got := h.read("report.md"); got != "What has changed since yesterday?\n" {
		t.Errorf("the old report is gone: %q", got)
	}
	os.Remove(broken)
}

func TestCronJobThatSkips(t *testing.T) {
	t.Parallel()
	h := newCronHouse(t)
	h.silently("triage")
	if got := h.read("triage.log"); got != "Sort the new issues.\n" {
		t.Errorf("got %q", got)
	}
	h.run("send", "-d", "-n", "api@triage", "/sleep 1m")
	h.silently("triage")
	if got := h.read("triage.log"); !strings.HasSuffix(got, "iris: team api@triage is busy, message not sent\n") {
		t.Errorf("got %q", got)
	}
	if n := h.messages(); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestCronPipelineFailsLoudly(t *testing.T) {
	systest.Needs(t, "git")
	t.Parallel()
	h := newCronHouse(t)
	mail, status := h.cron("review")
	if status != 128 || !strings.Contains(mail, "status 128: ") || !strings.Contains(mail, "src/api") {
		t.Errorf("without a repository: status %d, mail %q", status, mail)
	}
	repo := h.mkdir("src/api")
	for _, args := range [][]string{
		{"init", "-q"},
		{"-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-q", "--allow-empty", "-m", "A change"},
	} {
		cmd := exec.Command("git", append([]string{"-C", repo}, args...)...)
		cmd.Env = h.cronEnv()
		run(t, cmd)
	}
	h.silently("review")
	if got := h.read("review.md"); !strings.HasPrefix(got, "Review this:\n") || !strings.Contains(got, "A change") {
		t.Errorf("got %q", got)
	}
	h.fakeTeam("api")
	h.write("broken", 0o600, "")
	h.run("daemon", "stop")
	mail, status = h.cron("review")
	if status != 8 || !strings.Contains(mail, "status 8: ") {
		t.Errorf("status %d, mail %q", status, mail)
	}
}

func TestCronFanOut(t *testing.T) {
	t.Parallel()
	h := newCronHouse(t)
	h.silently("roundup")
	h.silently("roundup")
	got := h.read("roundup.md")
	for _, team := range []string{"api", "docs", "web"} {
		if !regexp.MustCompile(`(?m)^==> \w{16} ` + team + ` <==\nWhat should be done first\?$`).MatchString(got) {
			t.Errorf("no answer of %s in %q", team, got)
		}
	}
	if n := h.messages(); n != 3 {
		t.Errorf("%d messages", n)
	}
	h.write(".config/iris/config.toml", 0o600, agentsOf(t, "api", "web"))
	h.write("bin/roundup", 0o700, strings.Replace(h.read("bin/roundup"), "roundup-", "again-", 1))
	h.run("daemon", "reload")
	if mail, status := h.cron("roundup"); status != 4 || !strings.Contains(mail, `no team "docs"`) {
		t.Errorf("status %d, mail %q", status, mail)
	}
}

func TestSystemdTakesTheTimerOfTheRecipes(t *testing.T) {
	p := ownPaths(t)
	self := irisPath(t)
	all, err := systemd.Units(p, self, true)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, u := range all {
		if err := u.Write(); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, u.Path)
	}
	if err := os.Mkdir(filepath.Join(p.Home, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.Home, "bin/nightly"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, text := range recipes(t, "SYSTEMD") {
		if name := regexp.MustCompile(`^# ~/.config/(systemd/user/\S+)\n`).FindStringSubmatch(text); name != nil {
			path := filepath.Join(p.Home, ".config", name[1])
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
		}
	}
	if len(paths) != 4 {
		t.Errorf("got %q", paths)
	}
	cmd := exec.Command(systest.Needs(t, "systemd-analyze"), append([]string{"--user", "verify"}, paths...)...)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// The real cron runs a job of the recipes. It sees a crontab, a mail program and
// nothing else of the machine's, in mounts of its own: that takes root.
func TestRealCronRunsAJob(t *testing.T) {
	systest.NeedsRoot(t)
	cron := systest.Needs(t, "cron", "unshare")
	t.Parallel()
	h := newCronHouse(t)
	h.write("tabs/root", 0o600, "HOME="+h.dir+"\nMAILTO=root\n"+
		"@reboot "+h.lines["nightly"]+"\n"+"@reboot "+h.lines["review"]+"\n") // at once, not in a minute
	h.write("empty/.keep", 0o600, "")
	h.write("sbin/sendmail", 0o755, "#!/bin/sh\ncat > "+h.dir+"/mail.new && mv "+h.dir+"/mail.new "+h.dir+"/mail\n")
	mounts := `set -e
mount --bind "$1/tabs" /var/spool/cron/crontabs
mount --bind "$1/empty" /etc/cron.d
mount --bind /dev/null /etc/crontab
mount -t tmpfs none /run
mount -t overlay -o "lowerdir=$1/sbin:/usr/sbin" none /usr/sbin
exec "$2" -f`
	cmd := exec.Command("unshare", "--mount", "sh", "-c", mounts, "sh", h.dir, cron)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Signal(syscall.SIGTERM)
	for end := time.Now().Add(longEnough); ; time.Sleep(100 * time.Millisecond) {
		_, report := os.Stat(filepath.Join(h.dir, "report.md"))
		_, mail := os.Stat(filepath.Join(h.dir, "mail"))
		if report == nil && mail == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no report (%v) or no mail (%v) within %v", report, mail, longEnough)
		}
	}
	if got := h.read("report.md"); got != "What has changed since yesterday?\n" {
		t.Errorf("got %q", got)
	}
	if got := h.read("mail"); !strings.Contains(got, "status 128: "+h.dir+"/bin/review") || strings.Contains(got, "nightly") {
		t.Errorf("got mail %q", got)
	}
}
