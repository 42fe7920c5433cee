package main

import (
	"errors"
	"fmt"
	"strings"

	"iris/ipc"
)

// nextSteps say what a model can do about an error of the daemon, by the reason of the error.
var nextSteps = map[string]string{
	"no-such-team":    "list_teams lists the teams",
	"bad-name":        "list_teams lists the teams",
	"not-allowed":     "list_teams lists the teams that you may write to",
	"blank":           "Say in message what the team is to do",
	"too-large":       "Write the text to a file, and send the path of the file",
	"frame":           "Write the text to a file, and send the path of the file",
	"deadlock":        "Do not wait for it: do that work yourself, or send it with wait \"0\" and end your turn",
	"too-deep":        "Answer with what you know, instead of asking on",
	"too-many":        "End your turn with what you know",
	"queue-full":      "Try again later, or do that work yourself",
	"pool-full":       "Try again later, or do that work yourself",
	"no-memory":       "Try again later, or do that work yourself",
	"budget":          "Do that work yourself, or tell the person that the budget does not allow it",
	"busy":            "Try again later, or do that work yourself",
	"disk-full":       "Tell the person that the disk is full",
	"stopping":        "The person has stopped the daemon of iris. A message that it has accepted stays: wait_message with its id goes on later",
	"conflict":        "Use another key, or none",
	"no-such-message": "list_messages lists your messages",
	"ambiguous":       "Give the whole id",
	"not-running":     "An agent of that team is not running; a message starts one",
	"unknown":         "Find out what the team has done before you ask for it again",
	"cannot-start":    "Tell the person: \"iris doctor\" shows what is wrong with that team",
	"pruned":          "Ask again with another key",
}

// explain words an error for a model: what went wrong, and what to do next.
func explain(err error) error {
	wire, ok := errors.AsType[*ipc.Error](err)
	switch {
	case err == nil:
		return nil
	case nextSteps[ipc.ReasonOf(err)] != "":
		return fmt.Errorf("%s. %s", about(wire), nextSteps[ipc.ReasonOf(err)])
	case ok && wire.Hint() != "":
		return fmt.Errorf("%s. Hint for the person: %s", about(wire), wire.Hint())
	case ok:
		return errors.New(about(wire))
	case errors.Is(err, ipc.ErrNoDaemon), errors.Is(err, ipc.ErrLost):
		return fmt.Errorf("the daemon of iris cannot be reached (%w). Nothing that it has accepted is lost. Try again later, or tell the person: \"iris doctor\" shows what is wrong", err)
	}
	return err
}

// about is the text of an error, with the id of the message that it is about.
func about(e *ipc.Error) string {
	if e.Data == nil || e.Data.ID == "" || strings.Contains(e.Message, e.Data.ID) {
		return e.Message
	}
	return e.Message + " (message " + e.Data.ID + ")"
}
