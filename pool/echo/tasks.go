package echo

import (
	"maps"
	"slices"
	"time"
)

// Task is work of the agent beside its turns.
type Task struct {
	ID          string
	Type        string // local_agent or local_bash
	Description string
	Tool        string // id of the tool call that began it
	Text        string // its instructions
}

// run is the id by which the turn that reports the task names it.
func (k Task) run() string { return "run-" + k.ID }

// subagent reports whether the agent waits for the task.
func (k Task) subagent() bool { return k.Type == "local_agent" }

// StartTask writes the lines that begin a task. While the task runs, the process
// outlives its input, and a subagent keeps the agent from being idle. Neither is true
// in the old style.
func (s *Server) StartTask(k Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks = append(s.tasks, k)
	s.tasksLocked()
	fields := map[string]any{
		"task_id": k.ID, "tool_use_id": k.Tool, "description": k.Description, "task_type": k.Type,
	}
	if k.subagent() {
		fields["subagent_type"], fields["prompt"] = "general-purpose", k.Text
	}
	if !s.Old {
		fields["is_backgrounded"], fields["run_id"] = true, k.run()
	}
	s.System("task_started", fields)
}

// EndTask writes the lines that end a task, and then begins the turn of m, unless m
// has no origin. It does nothing if the task has ended.
func (s *Server) EndTask(id, summary string, m Message) {
	s.change(func() {
		i := slices.IndexFunc(s.tasks, func(k Task) bool { return k.ID == id })
		if i < 0 {
			return
		}
		k := s.tasks[i]
		if k.subagent() && !s.Old {
			s.agentLine(k, "assistant", summary)
		}
		s.endLocked(i, "completed", "completed", summary)
		s.tasksLocked()
		if m.Origin != "" {
			if !s.Old {
				m.Run = k.run()
			}
			s.enqueueLocked(m)
		}
	})
}

// killAgentsLocked ends all subagents, as an interrupt does, and returns them. The
// caller must hold s.mu.
func (s *Server) killAgentsLocked() (killed []Task) {
	if s.Old {
		return nil
	}
	for i := len(s.tasks) - 1; i >= 0; i-- {
		if k := s.tasks[i]; k.subagent() {
			s.endLocked(i, "killed", "stopped", k.Description)
			killed = append(killed, k)
		}
	}
	if killed != nil {
		s.tasksLocked()
	}
	return killed
}

// endLocked removes a task from the list and writes how it ended. The caller must
// hold s.mu.
func (s *Server) endLocked(i int, patch, status, summary string) {
	k := s.tasks[i]
	s.tasks = slices.Delete(s.tasks, i, i+1)
	updated := map[string]any{"task_id": k.ID, "patch": map[string]any{"status": patch, "end_time": time.Now().UnixMilli()}}
	notified := map[string]any{
		"task_id": k.ID, "tool_use_id": k.Tool, "status": status, "output_file": "", "summary": summary,
	}
	if !s.Old {
		updated["run_id"], notified["run_id"] = k.run(), k.run()
	}
	s.System("task_updated", updated)
	s.System("task_notification", notified)
}

// tasksLocked writes the list of all tasks. The caller must hold s.mu.
func (s *Server) tasksLocked() {
	if s.Old {
		return
	}
	list := []any{}
	for _, k := range s.tasks {
		list = append(list, map[string]string{"run_id": k.run(), "task_id": k.ID, "task_type": k.Type, "description": k.Description})
	}
	s.System("background_tasks_changed", map[string]any{"tasks": list})
}

// agentsLocked reports whether the agent waits for a running subagent. The caller
// must hold s.mu.
func (s *Server) agentsLocked() bool { return !s.Old && slices.ContainsFunc(s.tasks, Task.subagent) }

// agentLine writes a line of a subagent.
func (s *Server) agentLine(k Task, kind, text string) {
	line := map[string]any{
		"type": kind, "parent_tool_use_id": k.Tool, "session_id": s.SessionID(), "uuid": NewUUID(),
		"subagent_type": "general-purpose", "task_description": k.Description,
		"message": map[string]any{"role": kind, "content": []any{map[string]string{"type": "text", "text": text}}},
	}
	extra := map[string]any{"timestamp": stamp()}
	if !s.Old {
		extra["agent_id"] = k.ID
	}
	maps.Copy(line, extra)
	s.Line(line)
}

// TellTask writes the instructions of a subagent, a line that only the old style has.
func (s *Server) TellTask(k Task) {
	if s.Old {
		s.agentLine(k, "user", k.Text)
	}
}
