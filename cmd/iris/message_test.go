package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestMessageFromArgumentsAndInput(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  []string
		input string
		want  string
	}{
		{"arguments", []string{"a", "b"}, "", "a b"},
		{"input", nil, "text\n", "text\n"},
		{"both", []string{"a", "b"}, "text\n", "a b\n\ntext\n"},
		{"blank input", []string{"a"}, " \n", "a"},
		{"dash", []string{"-"}, "text", "text"},
		{"last dash", []string{"a", "-"}, "text", "a\n\ntext"},
		{"dash between", []string{"a", "-", "b"}, "", "a - b"},
	} {
		src := source{args: c.args, stdin: strings.NewReader(c.input)}
		if got, err := src.read(); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestMessageThatCannotBeSent(t *testing.T) {
	for _, c := range []struct {
		name string
		src  source
		want string
	}{
		{"none", source{}, "no message"},
		{"blank", source{args: []string{"", " "}}, "the message is blank"},
		{"not read", source{args: []string{"-"}, noStdin: true}, "contradict"},
		{"two", source{args: []string{"-"}, file: "x"}, "cannot both"},
		{"no file", source{file: "/no/such/file"}, "read the message: open /no/such/file"},
		{"bytes", source{args: []string{"abc\xff"}}, "byte 3 is 0xff"},
		{"half a character", source{args: []string{"€\xe2\x82"}}, "byte 3 is 0xe2"},
		{"large", source{args: []string{strings.Repeat("x", maxMessage+1)}}, "it has 10485761 bytes"},
		{"large input", source{stdin: bytes.NewReader(make([]byte, maxMessage+1))}, "standard input has more"},
	} {
		_, err := c.src.read()
		var usage *usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestLargestMessageIsTaken(t *testing.T) {
	src := source{stdin: strings.NewReader(strings.Repeat("x", maxMessage))}
	if got, err := src.read(); err != nil || len(got) != maxMessage {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestCredentialKeysAreNamesOnly(t *testing.T) {
	got := credentialKeys([]string{
		"HOME=/x", "ANTHROPIC_API_KEY=secret", "ANTHROPIC_AUTH_TOKEN=", "CLAUDE_CODE_USE_BEDROCK=1",
		"AWS_PROFILE=p", "MY_AWS_PROFILE=p", "CLAUDECODE=1",
	})
	if want := "ANTHROPIC_API_KEY CLAUDE_CODE_USE_BEDROCK AWS_PROFILE"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
