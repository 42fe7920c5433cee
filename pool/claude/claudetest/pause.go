package claudetest

import (
	"os"
	"strings"
	"time"
)

// pause is how long something takes: a time or, for a test that decides when it is
// over, until a file exists.
type pause struct {
	d    time.Duration
	file string
}

// parsePause reads a Go duration, or "@" and the path of a file.
func parsePause(s string) (pause, error) {
	if file, ok := strings.CutPrefix(s, "@"); ok {
		return pause{file: file}, nil
	}
	d, err := time.ParseDuration(s)
	return pause{d: d}, err
}

// String implements flag.Value.
func (p pause) String() string {
	if p.file != "" {
		return "@" + p.file
	}
	return p.d.String()
}

// Set implements flag.Value.
func (p *pause) Set(s string) (err error) {
	*p, err = parsePause(s)
	return err
}

// step is the time until the next check whether the pause is over, and done whether
// it is over then.
func (p pause) step() time.Duration {
	if p.file != "" {
		return 2 * time.Millisecond
	}
	return p.d
}

func (p pause) done() bool {
	if p.file == "" {
		return true
	}
	_, err := os.Stat(p.file)
	return err == nil
}

// over returns true when the pause is over, and false if one of the channels is
// closed first. A nil channel never is.
func (p pause) over(gone, closed <-chan struct{}) bool {
	for {
		timer := time.NewTimer(p.step())
		select {
		case <-timer.C:
		case <-gone:
			timer.Stop()
			return false
		case <-closed:
			timer.Stop()
			return false
		}
		if p.done() {
			return true
		}
	}
}

// then calls f when the pause is over.
func (p pause) then(f func()) {
	time.AfterFunc(p.step(), func() {
		if p.done() {
			f()
		} else {
			p.then(f)
		}
	})
}
