package claudetest

import (
	"flag"
	"io"
	"os"
	"strings"
	"time"
)

// flags are the fake's own arguments; they and those in $FAKECLAUDE_ARGS are
// read together.
type flags struct {
	ledger    string
	max       string
	broken    string
	slowStart pause
	latency   pause
	late      time.Duration
	mute      bool
	phantom   bool
	old       bool
	noReload  bool
	refused   string
	deaf      []string
}

// version is what the fake says it is.
func (f flags) version() string {
	if f.old {
		return OldVersion
	}
	return Version
}

// parseFlags takes the --fake-* arguments out of a command line.
func parseFlags(args []string) (flags, error) {
	var f flags
	var own []string
	for _, a := range append(args[:len(args):len(args)], strings.Fields(os.Getenv("FAKECLAUDE_ARGS"))...) {
		if strings.HasPrefix(a, "--fake-") {
			own = append(own, a)
		}
	}
	fs := flag.NewFlagSet(fakeName, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&f.ledger, "fake-ledger", "", "append what happens to this file")
	fs.StringVar(&f.max, "fake-max", "", "live fakes of this ledger that are too many when exceeded: a number, or @FILE that has it")
	fs.StringVar(&f.broken, "fake-broken", "", "exit 1 at once while this file exists")
	fs.Var(&f.slowStart, "fake-slow-start", "do nothing for so long first")
	fs.Var(&f.latency, "fake-latency", "wait before each answer")
	fs.DurationVar(&f.late, "fake-late", 0, "write the transcript so long after the result")
	fs.BoolVar(&f.mute, "fake-mute", false, "never answer anything")
	fs.BoolVar(&f.phantom, "fake-phantom", false, "write a result of no turn first")
	fs.BoolVar(&f.old, "fake-old", false, "speak as Claude Code 2.1.197 does")
	fs.BoolVar(&f.noReload, "fake-no-reload", false, "do not know the request reload_plugins")
	fs.StringVar(&f.refused, "fake-refused", "", "find this settings file wrong")
	fs.Func("fake-deaf", "what to be deaf to: term,eof,end,interrupt,ping,stdin", func(s string) error {
		f.deaf = strings.Split(s, ",")
		return nil
	})
	return f, fs.Parse(own)
}
