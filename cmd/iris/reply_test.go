package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestHelpKnowsEveryReason compares the words that the daemon gives senders with
// those in the help of send.
func TestHelpKnowsEveryReason(t *testing.T) {
	var found [][]string
	for _, file := range []string{"conversation/key", "delivery/check", "delivery/send", "delivery/space", "delivery/verdict", "fault/fault", "fault/message", "store/store"} {
		source, err := os.ReadFile("../../daemon/" + file + ".go")
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, regexp.MustCompile(`(?:New|about)\(ipc\.\w+, "([a-z0-9-]+)"`).FindAllStringSubmatch(string(source), -1)...)
	}
	if len(found) < 25 {
		t.Fatalf("found %d words only", len(found))
	}
	send, _, err := newRootCmd().Find([]string{"send"})
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(send.Long, "reason is one word:")
	text, _, _ = strings.Cut(text, "EXIT")
	known := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,.;\n", r) })
	first := "blank too-large not-utf8 other-id" // for who speaks the protocol; send finds these before it sends, or deals with them
	for _, m := range found {
		if !contains(strings.Fields(first), m[1]) && !contains(known, m[1]) {
			t.Errorf("the help of send has no %q", m[1])
		}
	}
}

func contains(words []string, word string) bool {
	return strings.Contains(" "+strings.Join(words, " ")+" ", " "+word+" ")
}
