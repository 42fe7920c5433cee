package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

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
	f.Var(costFlag(&v.MaxCost), "max-cost", "end the turn at this cost in dollars; such as 2.50, the agent is replaced for it")
	f.Var(wordFlag(&v.Effort, turn.Efforts), "effort", oneOf(turn.Efforts)+"; how hard the model thinks")
	f.Var(filledFlag(&v.AllowedTools, "LIST", teamsOwn), "allowed-tools", "also allow these: \"Edit,Bash(git log *)\"")
	f.Var(filledFlag(&v.AppendSystemPrompt, "TEXT", teamsOwn), "append-system-prompt", "add this to the system prompt")
	f.Var(schemaFlag(&v.JSONSchema), "json-schema", "require an answer in JSON of this schema; @FILE is the schema in a file")
}

// completeVariant completes the flags that take one of a few words.
func completeVariant(cmd *cobra.Command) {
	completeWords(cmd, "permission-mode", turn.PermissionModes)
	completeWords(cmd, "effort", turn.Efforts)
	completeWords(cmd, "model", []string{"opus", "sonnet", "haiku", "default"})
	cmd.RegisterFlagCompletionFunc("json-schema", func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		return completeAttached(word)
	})
}

// schemaFlag is a JSON schema, or "@" and the name of a file with one.
func schemaFlag(value *string) flagValue {
	return newFlag("SCHEMA", func(text string) error {
		if name, ok := strings.CutPrefix(text, "@"); ok {
			schema, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			text = string(schema)
			if !json.Valid(schema) {
				return errors.New("that file is not JSON")
			}
		}
		switch _, err := os.Stat(text); {
		case json.Valid([]byte(text)):
			*value = text
			return nil
		case strings.TrimSpace(text) == "":
			return errors.New("it is empty; leave it out " + teamsOwn)
		case err == nil:
			return fmt.Errorf("it must be JSON; @%s is the schema in that file", text)
		}
		return errors.New("it must be JSON, or @FILE for the schema in a file")
	})
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

// costFlag is an amount in dollars.
func costFlag(value *float64) flagValue {
	return newFlag("DOLLARS", func(text string) (err error) {
		if *value, err = strconv.ParseFloat(strings.TrimPrefix(text, "$"), 64); err != nil || !(*value >= 0.0001 && *value <= 1e6) {
			return errors.New("it must be an amount in dollars from 0.0001 to 1000000, such as 2.50")
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
		{"model", v.Model}, {"permission mode", v.PermissionMode}, {"max turns", number(v.MaxTurns)}, {"max cost", maxCost(v.MaxCost)},
		{"effort", v.Effort}, {"allowed tools", v.AllowedTools},
		{"system prompt", v.AppendSystemPrompt}, {"json schema", v.JSONSchema},
	}
}

// maxCost is a limit of a message; empty for none.
func maxCost(usd float64) string {
	if usd == 0 {
		return ""
	}
	return turn.Dollars(usd).String()
}
