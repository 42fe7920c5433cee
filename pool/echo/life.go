package echo

// The states of a message that the agent reports, in order. A waiting message is
// cancelled when it is taken back and discarded when the session ends.
const (
	lifeQueued    = "queued"
	lifeStarted   = "started"
	lifeCompleted = "completed"
	lifeCancelled = "cancelled"
	lifeDiscarded = "discarded"
)

// lifeLocked writes the line with the new state of messages; messages without an id
// have none. The caller must hold s.mu, so that the lines are in the order of the
// changes.
func (s *Server) lifeLocked(state string, messages ...Message) {
	if s.Old {
		return
	}
	for _, m := range messages {
		if m.UUID == "" || m.Origin != "" {
			continue
		}
		line := map[string]any{
			"type": "command_lifecycle", "command_uuid": m.UUID, "state": state,
			"session_id": s.SessionID(), "uuid": NewUUID(),
		}
		if m.Wakeup != "" && state == lifeStarted {
			line["wakeup_source"] = m.Wakeup
		}
		s.Line(line)
	}
}

// Discard reports that a message which is in no queue never begins.
func (s *Server) Discard(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifeLocked(lifeDiscarded, m)
}

// ids returns the ids of the user's messages among these.
func ids(messages []Message) []string {
	var list []string
	for _, m := range messages {
		if m.UUID != "" && !m.own() {
			list = append(list, m.UUID)
		}
	}
	return list
}

// replay writes the user's messages of the turn once, if that was requested.
func (s *Server) replay() {
	s.mu.Lock()
	t := s.unopened
	due := s.Options.Replay && t != nil && !t.replayed && !t.Message.own()
	if due {
		t.replayed = true
	}
	s.mu.Unlock()
	if due {
		s.userLine(t.Message.Text, t.Message.UUID, true)
	}
}

// opening returns the fields that only the first line of a turn's answer has.
func (s *Server) opening() map[string]any {
	s.mu.Lock()
	t := s.unopened
	s.unopened = nil
	s.mu.Unlock()
	if s.Old || t == nil {
		return nil
	}
	list := ids(t.messages)
	if list == nil {
		return nil
	}
	return map[string]any{"user_message_uuid": list[len(list)-1], "user_message_uuids": list}
}

// Inject takes the waiting messages into the running turn, as happens when a tool has
// ended, and returns them.
func (t *Turn) Inject() []Message {
	s := t.server
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.queue) && !s.queue[n].own() {
		n++
	}
	taken := append([]Message(nil), s.queue[:n]...)
	s.queue = s.queue[n:]
	s.lifeLocked(lifeStarted, taken...)
	t.injected = append(t.injected, taken...)
	return taken
}

// takeBack removes a waiting message; false if there was none.
func (s *Server) takeBack(id string) (found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.queue {
		if m.UUID == id && id != "" {
			s.lifeLocked(lifeCancelled, m)
			s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
			return true
		}
	}
	return false
}

// Again answers a message with a used id: with the state line of an idle agent,
// unless a turn is running.
func (s *Server) Again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.States && !s.running {
		s.System("session_state_changed", map[string]any{"state": "idle"})
	}
}

// SessionID is the id of the session, which Clear changes.
func (s *Server) SessionID() string {
	if id := s.session.Load(); id != nil {
		return *id
	}
	return s.Options.SessionID
}

// Clear begins a new session with that id in the same process, as /clear does. The
// sums of costs are reset, except in the old style.
func (s *Server) Clear(t *Turn, id string) {
	if !s.Old {
		s.mu.Lock()
		s.total = totals{}
		s.since = totals{}
		s.Line(map[string]any{
			"type": "conversation_reset", "new_conversation_id": id, "trigger": "clear",
			"user_message_uuid": t.Message.UUID, "session_id": s.SessionID(), "uuid": NewUUID(),
		})
		s.tasks = nil
		s.tasksLocked()
		s.mu.Unlock()
	}
	s.session.Store(&id)
}
