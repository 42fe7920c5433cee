package claude

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"iris/pool"
)

// maxSaid is the size of the longest line of an answer that is kept in case the
// result does not have it.
const maxSaid = 64 << 10

// account is what the lines before a result say of a turn, and the result itself
// does not.
type account struct {
	said   []byte          // the last line in which the model spoke since it was asked
	model  string          // as the last init line names it
	resets time.Time       // of a limit that was reached; zero when there is none, or nobody said
	tasks  map[string]Task // background work that runs, by id
	leaves bool            // the agent ends: work that is ended now has not ended by itself
}

// Task is work that an agent has put into the background.
type Task struct {
	What string
	Old  bool // of a turn before this one
}

// note takes down what a line says. Of a line of type user its beginning will do.
func (a *account) note(typ, subtype string, line []byte) {
	switch {
	case typ == "user":
		if bytes.Contains(line, []byte(`"tool_result"`)) {
			a.said = nil // the model is asked anew
		}
	case typ == "assistant":
		if len(line) <= maxSaid && !bytes.Contains(line, []byte(`"model":"<synthetic>"`)) {
			a.said = append(a.said[:0], line...)
		}
	case typ == "rate_limit_event":
		a.limited(line)
	case typ == "system" && (subtype == "task_started" || subtype == "task_updated" || subtype == "task_notification"):
		a.task(subtype, line)
	case typ == "system" && subtype == "init":
		a.said = nil // a turn begins
		for id, t := range a.tasks {
			a.tasks[id] = Task{t.What, true}
		}
		fields(line, func(key, val []byte) bool {
			if string(key) != "model" {
				return true
			}
			a.model, _ = unquote(val)
			return false
		})
	}
}

// limited notes when a limit resets. The agent says so once, and not again with
// each turn that the same limit ends.
func (a *account) limited(line []byte) {
	var m struct {
		Info struct {
			Status   string `json:"status"`
			ResetsAt int64  `json:"resetsAt"` // seconds since 1970
		} `json:"rate_limit_info"`
	}
	a.resets = time.Time{}
	if decode(line, &m); m.Info.Status == "rejected" && m.Info.ResetsAt > 0 {
		a.resets = time.Unix(m.Info.ResetsAt, 0)
	}
}

// task notes that background work has begun or ended.
func (a *account) task(subtype string, line []byte) {
	var m struct {
		ID     string `json:"task_id"`
		What   string `json:"description"`
		Status string `json:"status"`
		Patch  struct {
			Status string `json:"status"`
		} `json:"patch"`
	}
	decode(line, &m)
	status := cmp.Or(m.Status, m.Patch.Status)
	killed := status == "killed" || status == "stopped"
	switch {
	case m.ID == "" || killed && a.leaves:
	case subtype == "task_started":
		if a.tasks == nil {
			a.tasks = map[string]Task{}
		}
		a.tasks[m.ID] = Task{What: oneLine(m.What)}
	case killed || status == "completed" || status == "failed":
		delete(a.tasks, m.ID)
	}
}

// complete adds to a result what the agent said before it. An error of the API
// that comes after a part of the answer leaves a partial answer; the text of such
// a result is what went wrong.
func (a *account) complete(r *pool.Result, isError bool) {
	switch r.Outcome {
	case pool.OutcomeRateLimited:
		r.Resets = a.resets
	case pool.OutcomeAPIError:
		if text := spoken(a.said); text != "" && r.Status == 0 {
			r.Outcome, r.Text = pool.OutcomeIncomplete, text
		}
	case pool.OutcomeIncomplete, pool.OutcomeInterrupted:
		if isError {
			r.Text = spoken(a.said)
		}
	}
	a.said = nil
	r.Model = a.model
	r.Background = a.background(false)
}

// background is what runs beside the turn that has begun it, and with old also
// what runs since an earlier one.
func (a *account) background(old bool) []string {
	var what []string
	for _, t := range a.tasks {
		if old || !t.Old {
			what = append(what, t.What)
		}
	}
	slices.Sort(what)
	return what
}

// spoken is the text of an assistant line.
func spoken(line []byte) string {
	var m struct {
		Message struct {
			Content []struct {
				Type string `json:"type"`
				Text string `json:"text"`
			} `json:"content"`
		} `json:"message"`
	}
	if json.Unmarshal(line, &m) != nil {
		return ""
	}
	var b strings.Builder
	for _, c := range m.Message.Content {
		if c.Type == "text" {
			b.WriteString(c.Text)
		}
	}
	return b.String()
}
