package ipc

// EventQuery asks for the events after a sequence number (0 for all kept events) that
// pass a filter; a zero field does not filter.
type EventQuery struct {
	After   uint64   `json:"after"`
	Stream  string   `json:"stream,omitempty"` // the stream that After counts in; if it is another one, the events begin with the oldest kept
	Team    string   `json:"team,omitempty"`
	Session *string  `json:"session,omitempty"` // empty for the team's own session
	Types   []string `json:"types,omitempty"`
	Message string   `json:"message,omitempty"` // the id of a message
}

// Wants reports whether an event passes the filter. An event without a team passes no
// filter that names one.
func (q *EventQuery) Wants(e *Event) bool {
	switch {
	case q.Team != "" && e.Team != q.Team,
		q.Session != nil && e.Session != *q.Session,
		q.Message != "" && e.Message != q.Message:
		return false
	}
	for _, t := range q.Types {
		if t == e.Type {
			return true
		}
	}
	return len(q.Types) == 0
}

// Begin says where events begin. After is the number that was asked for, unless it is
// of another stream or no longer kept. Missed counts the events that are lost in
// between. A daemon's stream continues when its program is replaced in place; another
// daemon has another stream.
type Begin struct {
	Stream string `json:"stream"`
	After  uint64 `json:"after"`
	Missed uint64 `json:"missed,omitempty"`
}

// EventList holds events in order; Stream, After and Missed are those of Begin. Last
// is the number of the newest event, whether or not it is in the list.
type EventList struct {
	Stream string  `json:"stream"`
	After  uint64  `json:"after"`
	Missed uint64  `json:"missed,omitempty"`
	Events []Event `json:"events"`
	Last   uint64  `json:"last"`
}

// Gap ends a stream of events because its reader was too slow. The reader may
// subscribe again after Last; later events are lost to it unless they are still kept.
type Gap struct {
	Last uint64 `json:"last"`
}
