package main

import (
	"errors"
	"io"
	"strings"

	"iris/ipc"
)

// noReply is what --json prints when the agent did not end the turn by its own
// word; its names are those of ipc.Reply where they mean the same.
type noReply struct {
	ID      string `json:"id,omitempty"`
	RetryOf string `json:"retry_of,omitempty"`
	Team    string `json:"team"`
	Session string `json:"session"`
	Outcome string `json:"outcome"` // none
	Error   string `json:"error"`
	Hint    string `json:"hint,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Status  int    `json:"status"`
}

// statusReply is a reply and the status that the command ends with.
type statusReply struct {
	*ipc.Reply
	RetryOf string `json:"retry_of,omitempty"` // the message that was sent, and that this one took the place of
	Status  int    `json:"status"`
}

// printReplyJSON prints one object, whatever happened, and returns err or how
// the turn ended. What is known of a message without a reply is in none.
func printReplyJSON(stdout io.Writer, none noReply, reply *ipc.Reply, err error) error {
	if err == nil {
		ended := replyError(reply)
		if err := printJSON(stdout, statusReply{reply, none.RetryOf, status(ended)}); err != nil {
			return err
		}
		return ended
	}
	none.Outcome, none.Error, none.Hint, none.Reason, none.Status = "none", err.Error(), hint(err), reasonOf(err), status(err)
	var wire *ipc.Error
	var wait *waitError
	switch {
	case errors.As(err, &wait) && wait.id != "":
		none.ID = wait.id
	case errors.As(err, &wire) && wire.Data != nil && wire.Data.ID != "":
		none.ID = wire.Data.ID
	}
	if err := printJSON(stdout, &none); err != nil {
		return err
	}
	return err
}

// credentials names the variables that hold what an agent needs to reach its
// model. A name with a "*" at its end stands for all that begin so.
var credentials = []string{
	"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_VERTEX_PROJECT_ID",
	"CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_USE_*", "CLAUDE_CONFIG_DIR",
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_BEARER_TOKEN_BEDROCK",
	"GOOGLE_APPLICATION_CREDENTIALS", "CLOUD_ML_REGION",
}

// credentialKeys returns the names of those that environ sets, never their
// values: the daemon tells which of them its agents lack.
func credentialKeys(environ []string) []string {
	var keys []string
	for _, kv := range environ {
		key, value, _ := strings.Cut(kv, "=")
		if value != "" && isCredential(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

func isCredential(key string) bool {
	for _, c := range credentials {
		if prefix, ok := strings.CutSuffix(c, "*"); key == c || ok && strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
