package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

// permissionModes are those that Claude Code knows.
var permissionModes = []string{"default", "acceptEdits", "auto", "dontAsk", "plan", "bypassPermissions"}

// variantFlags are the flags of claude -p that a message may have.
type variantFlags struct{ ipc.Variant }

func (v *variantFlags) addFlags(f *pflag.FlagSet) {
	f.Var(filledFlag{&v.Model, "MODEL"}, "model", "have this model answer, an alias or a full name")
	f.Var(wordFlag{&v.PermissionMode, permissionModes}, "permission-mode", "what the agent may do without asking: "+oneOf(permissionModes))
	f.Var((*turnsFlag)(&v.MaxTurns), "max-turns", "end the turn after so many calls of the model")
	f.Var(filledFlag{&v.AppendSystemPrompt, "TEXT"}, "append-system-prompt", "add this to the system prompt")
	f.Var(filledFlag{&v.JSONSchema, "SCHEMA"}, "json-schema", "have the answer be JSON that follows this schema")
}

// completeVariant completes what is not free text.
func completeVariant(cmd *cobra.Command) {
	completeWords(cmd, "permission-mode", permissionModes)
	completeWords(cmd, "model", []string{"opus", "sonnet", "haiku", "default"})
}

// A filledFlag is a text that is not blank: what a script with an unset variable
// gives it is a mistake.
type filledFlag struct {
	value *string
	word  string
}

func (f filledFlag) Set(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("it is empty; leave it out for what the team has")
	}
	*f.value = text
	return nil
}

func (f filledFlag) String() string { return *f.value }
func (f filledFlag) Type() string   { return f.word }

// A turnsFlag is a number of turns. Claude Code takes 0 for no limit.
type turnsFlag int

func (f *turnsFlag) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return errors.New("it must be a whole number from 1 on")
	}
	*f = turnsFlag(n)
	return nil
}

func (f *turnsFlag) String() string {
	if *f == 0 {
		return ""
	}
	return strconv.Itoa(int(*f))
}

func (f *turnsFlag) Type() string { return "NUMBER" }

// variantFields are the lines about what a message asked of its agent.
func variantFields(v *ipc.Variant) [][2]string {
	if v == nil {
		return nil
	}
	return [][2]string{
		{"model", v.Model}, {"permission mode", v.PermissionMode}, {"max turns", number(v.MaxTurns)},
		{"system prompt", v.AppendSystemPrompt}, {"json schema", v.JSONSchema},
	}
}
