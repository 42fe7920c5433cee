package config

import (
	"strings"
	"testing"
)

func TestNoteAboutTheOldMeaningOfMaxTurns(t *testing.T) {
	for _, tt := range []struct {
		name, toml string
		env        string
		want       []string // beginnings of the notes
	}{
		{name: "never set", toml: "[teams.a]\ndir='/a'\n"},
		{name: "set", toml: "max_turns = 7\n[teams.a]\ndir='/a'\n", want: []string{":1:13: max_turns = 7 limits the model calls"}},
		{name: "of a team", toml: "[teams.a]\ndir='/a'\nmax_turns = 7\n", want: []string{":3:13: max_turns = 7 limits the model calls"}},
		{name: "in the environment", env: "7", want: []string{"IRIS_MAX_TURNS: max_turns = 7"}},
		{name: "no limit", toml: "max_turns = 0\n"},
		{name: "both", toml: "max_turns = 7\nmax_messages_per_agent = 0\n"},
		{name: "the new key for all teams", toml: "max_messages_per_agent = 0\n[teams.a]\ndir='/a'\nmax_turns = 7\n"},
		{name: "the new key for another team", toml: "[teams.a]\ndir='/a'\nmax_turns = 7\n[teams.b]\ndir='/b'\nmax_messages_per_agent = 2\n", want: []string{":3:13: max_turns = 7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("IRIS_MAX_TURNS", tt.env)
			got := mustLoad(t, tt.toml).Notes()
			if len(got) != len(tt.want) {
				t.Fatalf("got %v", got)
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i].String(), want) || !strings.HasSuffix(got[i].Msg, "max_messages_per_agent = 7 in its place, or else max_messages_per_agent = 0 beside it to end this note") {
					t.Errorf("got %q, want %q", got[i], want)
				}
			}
		})
	}
}
