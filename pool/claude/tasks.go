package claude

import (
	"bytes"
	"cmp"
	"slices"
)

// Task is background work of an agent, or work that its turn waits for.
type Task struct {
	What   string
	Kind   string // of a subagent, such as "Explore"
	Run    string // the agent's id of it, which the turn that reports it names
	Call   string // the agent's id of the tool call that began it
	Shell  bool   // a command: the agent counts as idle beside it
	Old    bool   // begun before the awaited message
	Ended  bool   // it has ended and is not yet reported
	Waits  bool   // its turn waits for it, as for any tool, so it is not background work
	Unsaid bool   // its first line did not say whether its turn waits: the return of Call does
}

// taskLine has the members that lines about one task and about all tasks share.
type taskLine struct {
	ID         string `json:"task_id"`
	What       string `json:"description"`
	Kind       string `json:"subagent_type"`
	Run        string `json:"run_id"`
	Call       string `json:"tool_use_id"`
	Type       string `json:"task_type"`
	Background *bool  `json:"is_backgrounded"`
	Status     string `json:"status"`
	Patch      struct {
		Status string `json:"status"`
	} `json:"patch"`
}

// task records that a task has begun or ended.
func (a *turnNotes) task(subtype string, line []byte, stopping bool) {
	switch subtype {
	case "background_tasks_changed":
		a.allTasks(line, stopping)
		return
	case "task_started", "task_updated", "task_notification":
	default:
		return
	}
	var t taskLine
	decode(line, &t)
	status := cmp.Or(t.Status, t.Patch.Status)
	killed := status == "killed" || status == "stopped"
	switch {
	case t.ID == "" || killed && stopping:
	case subtype == "task_started":
		a.addTask(&t, t.waits())
	case killed || status == "completed" || status == "failed":
		a.endTask(t.ID)
	}
}

// allTasks records which background tasks there are.
func (a *turnNotes) allTasks(line []byte, stopping bool) {
	var all struct {
		Tasks []taskLine `json:"tasks"`
	}
	decode(line, &all)
	there := map[string]bool{}
	for i := range all.Tasks {
		a.addTask(&all.Tasks[i], false)
		there[all.Tasks[i].ID] = true
	}
	if stopping {
		return
	}
	for id, t := range a.Tasks {
		if !there[id] && !t.Waits {
			a.endTask(id)
		}
	}
}

// waits reports whether the turn waits for a task that begins. If the line does not say
// so, it waits until the tool call of the task returns: see returned.
func (t *taskLine) waits() bool {
	if t.Background == nil {
		return t.Call != ""
	}
	return !*t.Background
}

func (a *turnNotes) addTask(t *taskLine, waits bool) {
	old, known := a.Tasks[t.ID]
	call := cmp.Or(old.Call, t.Call) // some of the lines lack it
	switch {
	case t.ID == "":
		return
	case known && (waits || !old.Waits):
		old.Call = call
		a.Tasks[t.ID] = old
		return
	}
	if a.Tasks == nil {
		a.Tasks = map[string]Task{}
	}
	a.Tasks[t.ID] = Task{
		What: oneLine(t.What), Kind: oneLine(t.Kind), Run: t.Run, Call: call, Shell: t.Type == "local_bash",
		Waits: waits, Unsaid: waits && t.Background == nil,
	}
}

// returned records that tool calls have returned. Work that goes on then runs in the
// background; work that a turn has waited for has ended, or was broken off.
func (a *turnNotes) returned(line []byte) {
	for id, t := range a.Tasks {
		if !t.Unsaid || t.Ended || !bytes.Contains(line, []byte(t.Call)) {
			continue
		}
		if slices.ContainsFunc(toolResults(line), func(r toolResult) bool { return r.ID == t.Call && !r.IsError }) {
			t.Waits, t.Unsaid = false, false
			a.Tasks[id] = t
		}
	}
}

func (a *turnNotes) endTask(id string) {
	if t, ok := a.Tasks[id]; ok {
		t.Ended = true
		a.Tasks[id] = t
	}
}

// reported removes the ended tasks of that run: their report has come.
func (a *turnNotes) reported(run string) {
	for id, t := range a.Tasks {
		if t.Ended && t.Run == run {
			delete(a.Tasks, id)
		}
	}
}

// forgetEnded removes the ended tasks, and those that a turn has waited for.
func (a *turnNotes) forgetEnded() {
	for id, t := range a.Tasks {
		if t.Ended || t.Waits {
			delete(a.Tasks, id)
		}
	}
}

// age makes all tasks old, and returns their runs.
func (a *turnNotes) age() map[string]bool {
	runs := map[string]bool{}
	for id, t := range a.Tasks {
		t.Old = true
		a.Tasks[id] = t
		if t.Run != "" {
			runs[t.Run] = true
		}
	}
	return runs
}

// background returns the work that runs beside the turn which began it; with old,
// also the work of earlier turns.
func (a *turnNotes) background(old bool) []string {
	return a.tasks(func(t Task) bool { return !t.Ended && (old || !t.Old) })
}

// subagents returns the work begun for the awaited message beside which the agent is
// not idle, including work that has ended and is not yet reported.
func (a *turnNotes) subagents() []string {
	return a.tasks(func(t Task) bool { return !t.Shell && !t.Old })
}

// worksForMessage reports whether a subagent was begun for the awaited message. It is
// known by its id or by the call that has begun it.
func (a *turnNotes) worksForMessage(id, call string) bool {
	for known, t := range a.Tasks {
		if !t.Old && (known == id || t.Call == call) {
			return true
		}
	}
	return false
}

// working returns the work of subagents of an idle agent, if the program says idle
// beside it.
func (a *turnNotes) working() []string {
	return a.tasks(func(t Task) bool { return !a.Lifecycle && !t.Shell && !t.Ended })
}

func (a *turnNotes) tasks(which func(Task) bool) []string {
	var what []string
	for _, t := range a.Tasks {
		if which(t) && !t.Waits {
			what = append(what, t.What)
		}
	}
	slices.Sort(what)
	return what
}
