package main

import (
	"errors"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/pool/turn"
)

// teamsOwn says when to leave one of these flags out.
const teamsOwn = "for what the team has"

// variantFlags are the flags of claude -p for one message.
type variantFlags struct{ turn.Variant }

func (v *variantFlags) addFlags(f *pflag.FlagSet) {
	f.Var(filledFlag(&v.Model, "MODEL", teamsOwn), "model", "have this model answer; an alias or a full name")
	f.Var(wordFlag(&v.PermissionMode, turn.PermissionModes), "permission-mode", "the permission mode, such as plan; "+oneOf(turn.PermissionModes))
	f.Var(turnsFlag(&v.MaxTurns), "max-turns", "end the turn after this many model calls")
	f.Var(wordFlag(&v.Effort, turn.Efforts), "effort", oneOf(turn.Efforts)+"; how hard the model thinks")
	f.Var(filledFlag(&v.AllowedTools, "LIST", teamsOwn), "allowed-tools", "also allow these: \"Edit,Bash(git log *)\"")
	f.Var(filledFlag(&v.AppendSystemPrompt, "TEXT", teamsOwn), "append-system-prompt", "add this to the system prompt")
	f.Var(filledFlag(&v.JSONSchema, "SCHEMA", teamsOwn), "json-schema", "require an answer in JSON of this schema")
}

// completeVariant completes the flags that take one of a few words.
func completeVariant(cmd *cobra.Command) {
	completeWords(cmd, "permission-mode", turn.PermissionModes)
	completeWords(cmd, "effort", turn.Efforts)
	completeWords(cmd, "model", []string{"opus", "sonnet", "haiku", "default"})
}

// turnsFlag is a number of turns. Claude Code takes 0 for no limit, so 0 is refused.
func turnsFlag(value *int) flagValue {
	return newFlag("NUMBER", func(text string) (err error) {
		if *value, err = strconv.Atoi(text); err != nil || *value < 1 {
			return errors.New("it must be a whole number from 1 on")
		}
		return nil
	})
}

// variantFields are the lines about the Variant of a message.
func variantFields(v *turn.Variant) [][2]string {
	if v == nil {
		return nil
	}
	return [][2]string{
		{"model", v.Model}, {"permission mode", v.PermissionMode}, {"max turns", number(v.MaxTurns)},
		{"effort", v.Effort}, {"allowed tools", v.AllowedTools},
		{"system prompt", v.AppendSystemPrompt}, {"json schema", v.JSONSchema},
	}
}
