package fault

import (
	"fmt"
	"strings"

	"iris/ipc"
	"iris/pool"
)

// NoMessage says that no recorded message has that id, or an id that begins so.
func NoMessage(id string) *ipc.Error {
	e := New(ipc.CodeNotFound, "no-such-message", fmt.Errorf("no message %q", id))
	e.Data.Hint = `"iris messages" lists those on record; 4 characters or more may stand for an id`
	return WithID(e, id)
}

// named is how many ids an error lists.
const named = 4

// Ambiguous says that the ids of several things begin with prefix: of messages, or of
// approvals.
func Ambiguous(prefix, things string, ids []string) *ipc.Error {
	list := strings.Join(ids[:min(len(ids), named)], ", ")
	if len(ids) > named {
		list += ", ..."
	}
	e := New(ipc.CodeUsage, "ambiguous", fmt.Errorf("the ids of several %s begin with %q: %s", things, prefix, list))
	e.Data.Hint = "give more of the id"
	return e
}

// NotEnded says that a message still waits or runs.
func NotEnded(k pool.Key, id, state string) *ipc.Error {
	e := New(ipc.CodeFull, "not-ended", fmt.Errorf("team %s: message %s is %s", k, id, state))
	e.Data.Hint = fmt.Sprintf("%q waits for its end", "iris wait "+id)
	return WithID(e, id)
}

// Expired says that a message has missed its deadline.
func Expired(k pool.Key, id string) *ipc.Error {
	return WithID(New(ipc.CodeExpired, "expired", fmt.Errorf("team %s: the message had not begun when its time was over, and will not run", k)), id)
}

// Stopping says that a message waits for the next daemon.
func Stopping(k pool.Key, id string) *ipc.Error {
	e := New(ipc.CodeFull, "stopping", fmt.Errorf("team %s: the daemon is stopping; message %s stays queued for the next one", k, id))
	e.Data.Hint = fmt.Sprintf("%q starts it and waits", "iris wait "+id)
	return WithID(e, id)
}

// Left says that a turn goes on without a daemon.
func Left(k pool.Key, id string) *ipc.Error {
	e := New(ipc.CodeFull, "stopping", fmt.Errorf("team %s: the daemon is stopping; the turn of message %s goes on without it", k, id))
	e.Data.Hint = fmt.Sprintf("%q has the next daemon look for the answer", "iris wait "+id)
	return WithID(e, id)
}

// Lost says that the end of a message could not be recorded; the next daemon finds it
// in the agent's spool.
func Lost(k pool.Key, id string) *ipc.Error {
	e := New(ipc.CodeUnknown, "journal", fmt.Errorf("team %s: the end of message %s could not be recorded", k, id))
	e.Data.Hint = fmt.Sprintf("%q asks the next daemon, which looks into the agent's output", "iris wait "+id)
	return WithID(e, id)
}
