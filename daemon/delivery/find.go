package delivery

import (
	"context"
	"fmt"

	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
)

// leastPrefix is how many characters may stand for the id of a message.
const leastPrefix = 4

// shownIDs is how many ids of an ambiguous prefix are looked for: one more than an error
// lists.
const shownIDs = 5

// Find answers message.find.
func (d *Dispatcher) Find(_ context.Context, c *ipc.Call) (any, error) {
	id, err := d.messageID(c, false)
	if err != nil {
		return nil, err
	}
	return ipc.MessageID{ID: id}, nil
}

// messageID returns the id of the message that the MessageRef of a call names. If ended
// is set, the newest message means the newest that has ended.
func (d *Dispatcher) messageID(c *ipc.Call, ended bool) (string, error) {
	var p ipc.MessageRef
	if err := c.Bind(&p); err != nil {
		return "", err
	}
	if p.ID != "" {
		return d.fullID(p.ID)
	}
	f := journal.Filter{Limit: 1}
	if ended {
		f.States = []journal.State{journal.Done, journal.Failed, journal.Cancelled, journal.Expired, journal.Unknown}
	}
	whose := "no message"
	if p.Team != "" || p.Session != "" {
		k, err := d.key(p.Team, p.Session)
		if err != nil {
			return "", err
		}
		f.Team, f.Session = k.Team, &k.Session
		whose = fmt.Sprintf("team %s: no message of it", k)
	}
	for m, err := range d.o.Store.List(f) {
		if err != nil {
			return "", d.o.Store.LookupError(m.ID, err)
		}
		return m.ID, nil
	}
	if ended {
		return "", fault.New(ipc.CodeNotFound, "no-such-message", fmt.Errorf("%s has ended", whose))
	}
	return "", fault.New(ipc.CodeNotFound, "no-such-message", fmt.Errorf("%s is on record", whose))
}

// fullID returns the id that begins with prefix. A whole id is returned as it is, when its
// message is on disk or refused: until then the answer could be not-found for a message
// that is then accepted.
func (d *Dispatcher) fullID(prefix string) (string, error) {
	if _, whole := ipc.ParseID(prefix); whole {
		d.inflight.ids.accepting.lock(prefix)()
		return prefix, nil
	}
	if len(prefix) < leastPrefix {
		return "", fault.NoMessage(prefix)
	}
	ids, err := d.o.Store.Beginning(prefix, shownIDs)
	switch {
	case err != nil:
		return "", d.o.Store.LookupError(prefix, err)
	case len(ids) == 0:
		return "", fault.NoMessage(prefix)
	case len(ids) > 1:
		return "", fault.Ambiguous(prefix, "messages", ids)
	}
	return ids[0], nil
}
