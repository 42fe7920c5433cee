package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"iris/ipc"
)

func TestEachIsTried(t *testing.T) {
	full, none, lost := ipc.Errorf(ipc.CodeFull, "full"), ipc.Errorf(ipc.CodeNotFound, "no agent of c"), ipc.Errorf(ipc.CodeDaemon, "lost")
	for _, c := range []struct {
		errs   []error // of a, b, c and so on
		tried  string
		status int
		said   string
	}{
		{[]error{nil, nil}, "ab", 0, ""},
		{[]error{nil, full, none, nil}, "abcd", ipc.CodeFull, "iris: b: full\niris: no agent of c\n"},
		{[]error{nil, nil, none}, "abc", ipc.CodeNotFound, "iris: no agent of c\n"},
		{[]error{full, lost, nil}, "ab", ipc.CodeFull, "iris: a: full\niris: b: lost\n"},
		{[]error{none, nil}, "ab", ipc.CodeNotFound, "iris: a: no agent of c\n"}, // which has an "a" in it
		{[]error{none}, "a", ipc.CodeNotFound, ""},                               // the caller reports it
	} {
		var said strings.Builder
		tried := ""
		err := each(&said, slices.Collect(strings.SplitSeq("abcd"[:len(c.errs)], "")), func(arg string) error {
			tried += arg
			return c.errs[arg[0]-'a']
		})
		if tried != c.tried || status(err) != c.status || said.String() != c.said {
			t.Errorf("%v: tried %s, status %d, said %q", errors.Join(c.errs...), tried, status(err), said.String())
		}
	}
}
