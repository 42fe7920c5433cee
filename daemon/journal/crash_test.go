package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

func init() {
	roles["script"] = func(args []string) { script(args[0], os.Stdout) }
	roles["recover"] = func(args []string) { endRunning(args[0], os.Stdout) }
}

// fact is an acknowledgement of a journal about a message, one line of JSON each: the
// oracle of the crash tests.
type fact struct {
	ID       string
	State    State
	Attempts int
	Result   int // length of its text
	Body     int
	Pruned   bool // it may be gone from now on
}

func factOf(j *Journal, m Message) (fact, error) {
	f := fact{ID: m.ID, State: m.State, Attempts: len(m.Attempts)}
	b, err := j.Body(m.ID)
	if err != nil {
		return f, err
	}
	r, err := j.Result(m.ID)
	if r != nil {
		f.Result = len(r.Text)
	}
	f.Body = len(b)
	return f, err
}

// say writes a fact with one write, so that it is whole or not there.
func say(w io.Writer, j *Journal, m Message, err error) {
	var f fact
	if err == nil {
		f, err = factOf(j, m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	b, _ := json.Marshal(f)
	if _, err := w.Write(append(b, '\n')); err != nil {
		os.Exit(4)
	}
}

// script sends messages through every change, and prints the acknowledgements.
func script(path string, acks io.Writer) {
	j, err := Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	for i := range 6 {
		n := message(i)
		if i%3 == 2 {
			n.Body = bytes.Repeat([]byte{'b'}, inFile+i+1)
		}
		if i%2 == 0 {
			m, err := j.Accept(n)
			say(acks, j, m.Message, err)
		} else {
			m, err := j.AcceptAndDispatch(n, attempt(i))
			say(acks, j, m.Message, err)
		}
	}
	if _, err := j.compact(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	steps := []func() (Message, error){
		func() (Message, error) { return j.Dispatch(messageID(0), attempt(10)) },
		func() (Message, error) { return j.Requeue(messageID(0), "never began", at(11)) },
		func() (Message, error) { return j.End(messageID(1), done(strings.Repeat("r", inFile))) },
		func() (Message, error) { return j.End(messageID(3), End{State: Unknown, At: at(12)}) },
		func() (Message, error) {
			e := done("found")
			e.By = "spool"
			return j.Resolve(messageID(3), e)
		},
		func() (Message, error) { return j.End(messageID(5), End{State: Unknown, At: at(12), Retry: true}) },
		func() (Message, error) { return j.End(messageID(2), End{State: Cancelled, At: at(13)}) },
	}
	for _, step := range steps {
		m, err := step()
		say(acks, j, m, err)
	}
	if err := j.RecordAgentEnds(agentEnd(1, "api", "")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	pruneEnded(j, acks)
	if err := j.Close(); err != nil {
		os.Exit(3)
	}
}

// pruneEnded removes the ended messages, and prints before that they may be gone.
func pruneEnded(j *Journal, acks io.Writer) {
	for i := range 6 {
		m, err := j.Message(messageID(i))
		if err == nil && m.State.Ended() {
			b, _ := json.Marshal(fact{ID: m.ID, Pruned: true})
			acks.Write(append(b, '\n'))
		}
	}
	p, err := j.Prune(context.Background(), at(1000), at(1000))
	if err == nil && p.Messages == 0 {
		err = errors.New("nothing was pruned")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

// endRunning ends the running messages, as a daemon does when it starts.
func endRunning(path string, acks io.Writer) {
	j, err := Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	defer j.Close()
	for m, err := range j.Running() {
		if err == nil {
			m, err = j.End(m.ID, done(strings.Repeat("s", inFile+1)))
		}
		say(acks, j, m, err)
	}
}

// holds checks that a journal is whole and knows every acknowledged fact: each
// message is where the last fact about it says, or further on.
func holds(path string, acks []byte) error {
	j, err := Open(path)
	if err != nil {
		return err
	}
	defer j.Close()
	if err := j.Check(); err != nil {
		return err
	}
	last := map[string]fact{}
	for line := range bytes.Lines(acks) {
		var f fact
		if !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		if err := json.Unmarshal(line, &f); err != nil {
			return err
		}
		last[f.ID] = f
	}
	for _, id := range slices.Sorted(maps.Keys(last)) {
		m, err := j.Message(id)
		if last[id].Pruned && errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("acknowledged and lost: %w", err)
		}
		now, err := factOf(j, m)
		if err != nil {
			return err
		}
		if !reached(last[id], now) {
			return fmt.Errorf("acknowledged %+v, on record %+v", last[id], now)
		}
	}
	return noStrays(j)
}

// reached reports whether now is the fact itself or what may follow it.
func reached(was, now fact) bool {
	if was == now {
		return true
	}
	if was.Pruned {
		return now.State.Ended()
	}
	if was.ID != now.ID || was.Body != now.Body || now.Attempts < was.Attempts {
		return false
	}
	return was.State == Queued || was.State == Running || was.State == Unknown && now.Result > 0
}

// noStrays checks that the files beside the journal are those it names.
func noStrays(j *Journal) error {
	s, err := j.Size()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(j.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var n int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		n += info.Size()
	}
	if n != s.Bodies {
		return fmt.Errorf("files have %d bytes, on record are %d", n, s.Bodies)
	}
	return nil
}
