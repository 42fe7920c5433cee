package ipc

// EventQuery asks for the events after a sequence number, 0 for all that are kept,
// that a filter lets through; a zero field of it does not filter.
type EventQuery struct {
	After   uint64   `json:"after"`
	Stream  string   `json:"stream,omitempty"` // whose number After is; another one's stands for the beginning
	Team    string   `json:"team,omitempty"`
	Session *string  `json:"session,omitempty"` // the empty one is the team's own
	Types   []string `json:"types,omitempty"`
	Message string   `json:"message,omitempty"` // the id of one
}

// Wants reports whether the filter lets an event through. Those that concern no
// team are let through by none that names one.
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

// Begin says where events begin: those after a number of this stream, which is
// the one that was asked for unless it is another stream's or no longer kept.
// Missed counts the events that are lost in between. A daemon's stream goes on
// when its program is replaced in place; another daemon has another one.
type Begin struct {
	Stream string `json:"stream"`
	After  uint64 `json:"after"`
	Missed uint64 `json:"missed,omitempty"`
}

// EventList holds events in order; Stream, After and Missed are those of Begin.
// Last is the number of the newest there is, whether or not it is in the list.
type EventList struct {
	Stream string  `json:"stream"`
	After  uint64  `json:"after"`
	Missed uint64  `json:"missed,omitempty"`
	Events []Event `json:"events"`
	Last   uint64  `json:"last"`
}

// Gap ends a stream of events: its reader was too slow, the events after Last are lost
// to it unless they are still kept, and it may subscribe again from there.
type Gap struct {
	Last uint64 `json:"last"`
}
