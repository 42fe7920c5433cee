package journal

import (
	"errors"
	"os"
	"strings"
	"testing"

	"iris/pool/turn"
)

// unknownWith makes message 1 an unknown one with a result of that size.
func unknownWith(t *testing.T, j *Journal, size int) Message {
	t.Helper()
	mustReach(t, j, 1, Running)
	r := &Result{Result: turn.Result{Outcome: turn.Unknown, Text: strings.Repeat("x", size)}}
	return must1(j.End(messageID(1), End{State: Unknown, Result: r, At: at(1)}))(t)
}

func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, e := range must1(os.ReadDir(dir))(t) {
		names = append(names, e.Name())
	}
	return names
}

// A result that another one replaces leaves no file, and none that is counted.
func TestResolvedMessageHasOneResult(t *testing.T) {
	j, _ := tempJournal(t)
	unknownWith(t, j, inFile)
	e := done("the answer")
	e.By = "a person"
	must1(j.Resolve(messageID(1), e))(t)
	if left := filesIn(t, j.dir); left != nil {
		t.Errorf("left: %q", left)
	}
	if s := must1(j.Size())(t); s.Bodies != 0 {
		t.Errorf("%d bytes of files are counted", s.Bodies)
	}
}

// Who says how a message ended, and has no result, does not take the earlier one away.
func TestResolvedMessageKeepsItsResult(t *testing.T) {
	j, _ := tempJournal(t)
	m := unknownWith(t, j, inFile)
	must1(j.Resolve(m.ID, End{State: Failed, At: at(2), By: "a person"}))(t)
	if r := must1(j.Result(m.ID))(t); r == nil || len(r.Text) != inFile {
		t.Errorf("got %+v", r)
	}
	if s := must1(j.Size())(t); s.Bodies != m.Result.Size {
		t.Errorf("%d bytes of files are counted, want %d", s.Bodies, m.Result.Size)
	}
}

// Of the result of an attempt nothing is left when the next one is queued.
func TestNextAttemptHasNoEarlierResult(t *testing.T) {
	for _, size := range []int{inRecord, inFile} { // in the journal, and in a file
		j, _ := tempJournal(t)
		unknownWith(t, j, size)
		must1(j.Reattempt(messageID(1), Change{At: at(2), By: "a person"}))(t)
		if s := must1(j.Size())(t); s.Bodies != 0 {
			t.Errorf("result of %d bytes: %d bytes of files are counted", size, s.Bodies)
		}
		err := j.view(func(tx *txn) error {
			if v := tx.Bucket(bucketResults).Get([]byte(messageID(1))); v != nil {
				t.Errorf("result of %d bytes: it is still there", size)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// End is no way back into the queue, and takes no state that there is not.
func TestOnlyAnEndEndsAMessage(t *testing.T) {
	j, _ := tempJournal(t)
	mustReach(t, j, 1, Running)
	for _, s := range []State{Queued, "", "over"} {
		_, err := j.End(messageID(1), End{State: s, At: at(2)})
		if _, known := errors.AsType[*StateError](err); err == nil || known {
			t.Errorf("%q: got %v", s, err)
		}
	}
	if m := must1(j.Message(messageID(1)))(t); m.State != Running {
		t.Errorf("it is %s", m.State)
	}
}

// A message that is queued again because its turn never began, or that was resolved, has not
// been tried again.
func TestRetriedIsAfterAnUnknownEndOnly(t *testing.T) {
	j, _ := tempJournal(t)
	mustReach(t, j, 1, Running)
	if m := must1(j.Requeue(messageID(1), "not taken", at(2)))(t); m.Retried() {
		t.Error("a message that was put back")
	}
	mustReach(t, j, 2, Unknown)
	if m := must1(j.Resolve(messageID(2), End{State: Failed, At: at(3), By: "a person"}))(t); m.Retried() {
		t.Error("a message that was resolved")
	}
	mustReach(t, j, 3, Unknown)
	m := must1(j.Reattempt(messageID(3), Change{At: at(3), Request: "r"}))(t)
	if !m.Retried() || !m.Requested("r") || m.Requested("") || m.Requested("other") {
		t.Errorf("a message that was sent again: %+v", m.History)
	}
}
