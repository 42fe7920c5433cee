package main

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"iris/config"
	"iris/ipc"
)

// TestTreeOfOneCommandIsThatOfAll checks that leaving the others out changes
// nothing for the command that runs.
func TestTreeOfOneCommandIsThatOfAll(t *testing.T) {
	for _, commandGroup := range commandGroups {
		for _, c := range commandGroup.commands {
			one, _, err := newRootCmd(c.name, "x").Find([]string{c.name})
			if err != nil || one.Name() != c.name {
				t.Errorf("%s: got %v, %v", c.name, one, err)
			}
		}
	}
}

// Flags before the name change nothing of that.
func TestTreeHasOnlyTheCommandThatIsNamed(t *testing.T) {
	for args, want := range map[string]int{
		"ps": 1, "--socket s ps": 1, "--socket=s --no-start ps": 1, "--config ps ps": 1,
		"": 0, "help ps": 0, "--nonsense ps": 0, "-h ps": 0, "--socket": 0, "nonsense": 0,
	} {
		n := len(newRootCmd(strings.Fields(args)...).Commands())
		if one := n == 1; one != (want == 1) {
			t.Errorf("%q: %d commands", args, n)
		}
	}
}

// TestCommandsRefuseWhatIsNotBelowThem takes a word that is no command to every
// command that only holds others.
func TestCommandsRefuseWhatIsNotBelowThem(t *testing.T) {
	for _, cmd := range allCommands(newRootCmd()) {
		if !cmd.HasSubCommands() || cmd.Name() == "completion" {
			continue
		}
		args := append(path(cmd), "nonsense")
		root := newRootCmd(args...)
		root.SetArgs(args)
		root.SetOut(io.Discard)
		if err := root.Execute(); status(err) != ipc.CodeUsage {
			t.Errorf("%s: got %v", strings.Join(args, " "), err)
		}
	}
}

// TestJSONIsOneValueOrOneALine holds what each command says of its --json against
// the rule in the manual of iris.
func TestJSONIsOneValueOrOneALine(t *testing.T) {
	lines := []string{"cancel", "events", "messages", "wait", "wake"}
	array := regexp.MustCompile(`(?m)^  an array of objects: `)
	for _, cmd := range allCommands(newRootCmd()) {
		flag := cmd.Flags().Lookup("json")
		if flag == nil {
			continue
		}
		_, section, _ := strings.Cut(cmd.Long, "\nJSON\n")
		section, _, _ = strings.Cut(section, "\nEXIT STATUS\n")
		aLine := slices.Contains(lines, cmd.Name())
		if strings.Contains(flag.Usage, " a line") != aLine || strings.Contains(section, "one object a line") != aLine {
			t.Errorf("%s: a line each should be %v:\n%s\n%s", cmd.CommandPath(), aLine, flag.Usage, section)
		}
		if strings.Contains(flag.Usage, "array") != array.MatchString(section) || section == "" {
			t.Errorf("%s: flag and text differ:\n%s\n%s", cmd.CommandPath(), flag.Usage, section)
		}
	}
}

// TestSuggestionsAreOfOneCommand looks for another word for a command that two
// have, or that is itself the name of one.
func TestSuggestionsAreOfOneCommand(t *testing.T) {
	for _, cmd := range allCommands(newRootCmd()) {
		of := map[string]string{}
		for _, sub := range cmd.Commands() {
			of[sub.Name()] = sub.Name()
		}
		for _, sub := range cmd.Commands() {
			for _, word := range sub.SuggestFor {
				if of[word] != "" {
					t.Errorf("%s: %q stands for %s and %s", cmd.CommandPath(), word, of[word], sub.Name())
				}
				of[word] = sub.Name()
			}
		}
	}
}

// TestFlagsAreRefusedInOneWay checks that all errors about flags have one form.
func TestFlagsAreRefusedInOneWay(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"send", "--timeout", "soon"}, `--timeout is "soon": write it like 90s, 1h30m or 2d`},
		{[]string{"send", "--max-turns=0"}, `--max-turns is "0": it must be a whole number from 1 on`},
		{[]string{"logs", "-n", "x"}, `--limit is "x": it must be a whole number`},
		{[]string{"ps", "--json=perhaps"}, `--json is "perhaps": it must be true or false`},
		{[]string{"send", "--stream=perhaps"}, `--stream is "perhaps": it must be true or false`},
		{[]string{"events", "--type", "noise"}, `--type is "noise": each must be process-spawned, `},
		{[]string{"ps", "--nonsense"}, `unknown flag --nonsense`},
		{[]string{"ps", "-x"}, `unknown flag -x`},
		{[]string{"ps", "-qx"}, `unknown flag -x in "-qx"`},
		{[]string{"send", "api", "-n is a flag"}, `"-n is a flag" is no flag`},
		{[]string{"send", "api", "-x is none"}, `"-x is none" is no flag`},
		{[]string{"send", "api", "--x is none"}, `unknown flag --x is none`},
		{[]string{"send", "--key"}, `--key needs a value`},
		{[]string{"logs", "-n"}, `-n needs a value`},
		{[]string{"config", "set", "--team", "", "idle_timeout", "1m"}, `--team is "": it is empty; leave it out to set it for all teams`},
		{[]string{"--no-start", "ps", "--config", ""}, `--config is "": it is empty; leave it out for the usual file`},
		{[]string{"--no-start", "--socket=", "ps"}, `--socket is "": it is empty; leave it out for the usual socket`},
		{[]string{"send", "echo", "-f", ""}, `--file is "": it is empty; leave it out to send the words or standard input`},
		{[]string{"--no-start", "events", "--message", ""}, `--message is "": it is empty; leave it out for the events of all messages`},
	} {
		root := newRootCmd(c.args...)
		root.SetArgs(c.args)
		err := root.Execute()
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "strconv") || status(err) != ipc.CodeUsage {
			t.Errorf("%s: got %v, want %s", strings.Join(c.args, " "), err, c.want)
		}
	}
}

// TestAnEmptyIDIsNotTheNewestMessage has a script cancel or repeat a message whose id
// it does not have.
func TestAnEmptyIDIsNotTheNewestMessage(t *testing.T) {
	newHome(t)
	for _, args := range [][]string{
		{"wait", ""}, {"result", ""}, {"show", ""}, {"cancel", "01m8m21q2z00tftm", ""}, {"retry", ""}, {"resolve", "", "--as", "done"},
	} {
		root := newRootCmd(append(args, "--no-start")...)
		root.SetArgs(append(args, "--no-start"))
		if err := root.Execute(); err == nil || err.Error() != "the id of the message is empty" || status(err) != ipc.CodeUsage {
			t.Errorf("%q: got %v", args, err)
		}
	}
}

// BenchmarkTree is what every start pays for the command tree.
func BenchmarkTree(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newRootCmd("ps")
	}
}

// BenchmarkRun is the whole of a command that asks no daemon.
func BenchmarkRun(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		root := newRootCmd("version")
		root.SetArgs([]string{"version"})
		root.SetOut(io.Discard)
		if err := root.Execute(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPaths is finding the socket.
func BenchmarkPaths(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		p, err := config.Resolve("")
		if err != nil {
			b.Fatal(err)
		}
		p.FindSocket()
	}
}
