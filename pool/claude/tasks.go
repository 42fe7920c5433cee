package claude

import (
	"cmp"
	"slices"
)

// Task is work of an agent in the background, or that its turn waits for.
type Task struct {
	What  string
	Kind  string // of a subagent, such as "Explore"
	Run   string // the agent's word for it, by which the turn that reports it is known
	Shell bool   // a command: the agent counts as idle beside it
	Old   bool   // begun before the message that is awaited
	Ended bool   // and not yet reported
	Waits bool   // its turn waits for it, as for any tool: it is nothing beside the turn
}

// taskLine is what the lines about one task and about all of them have in common.
type taskLine struct {
	ID         string `json:"task_id"`
	What       string `json:"description"`
	Kind       string `json:"subagent_type"`
	Run        string `json:"run_id"`
	Type       string `json:"task_type"`
	Background *bool  `json:"is_backgrounded"`
	Status     string `json:"status"`
	Patch      struct {
		Status string `json:"status"`
	} `json:"patch"`
}

// task notes that work has begun or ended.
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
		a.addTask(&t)
	case killed || status == "completed" || status == "failed":
		a.endTask(t.ID)
	}
}

// allTasks notes which tasks there are in the background.
func (a *turnNotes) allTasks(line []byte, stopping bool) {
	var all struct {
		Tasks []taskLine `json:"tasks"`
	}
	decode(line, &all)
	there := map[string]bool{}
	for i := range all.Tasks {
		a.addTask(&all.Tasks[i])
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

func (a *turnNotes) addTask(t *taskLine) {
	waits := t.Background != nil && !*t.Background
	if old, known := a.Tasks[t.ID]; known && (waits || !old.Waits) || t.ID == "" {
		return
	}
	if a.Tasks == nil {
		a.Tasks = map[string]Task{}
	}
	a.Tasks[t.ID] = Task{What: oneLine(t.What), Kind: oneLine(t.Kind), Run: t.Run, Shell: t.Type == "local_bash", Waits: waits}
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

// background is what runs beside the turn that has begun it, and with old also
// what runs since an earlier one.
func (a *turnNotes) background(old bool) []string {
	return a.tasks(func(t Task) bool { return !t.Ended && (old || !t.Old) })
}

// subagents is the work that the agent does not count as idle beside, as far as it
// was begun for the message that is awaited. Work that has ended and is not yet
// reported is among it.
func (a *turnNotes) subagents() []string {
	return a.tasks(func(t Task) bool { return !t.Shell && !t.Old })
}

// working is the work of subagents that an idle agent still has, where the program
// says idle beside it.
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
