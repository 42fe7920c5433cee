package main

import (
	"bytes"
	"strings"
	"testing"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

func TestStatusShowsTheJournal(t *testing.T) {
	s := ipc.Status{Journal: ipc.Journal{Bytes: 3 << 20, Messages: 12, Queued: 1, Running: 2, Unknown: 3, Error: "no space left on device"}}
	var buf bytes.Buffer
	if err := terminal.Fields(&buf, statusFields(&s, noon)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"journal:        12 messages, 1 queued, 2 running, 3 unknown, 3.0 MiB\n", "journal error:  no space left on device\n",
	} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("no %q in\n%s", want, &buf)
		}
	}
}
