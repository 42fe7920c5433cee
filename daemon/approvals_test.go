package daemon

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/daemon/approval"
	"iris/ipc"
)

// asking starts a daemon with a team whose scripted agent asks for permission.
func asking(t *testing.T, more ...string) *testDaemon {
	t.Helper()
	return startDaemon(t, "stop_grace = \"2s\"\n"+fakeTeam(t, "api", append([]string{`approvals = "ask"`}, more...)...))
}

func approvalsOf(d *testDaemon) []ipc.Approval {
	d.t.Helper()
	return mustCall[ipc.ApprovalList](d, ipc.MethodApprovals, ipc.ApprovalFilter{}).Approvals
}

// awaitApproval waits until a message waits for permission.
func awaitApproval(d *testDaemon, message string) (a ipc.Approval) {
	d.t.Helper()
	eventually(d.t, "an approval", func() bool {
		all := approvalsOf(d)
		i := slices.IndexFunc(all, func(a ipc.Approval) bool { return a.Message == message })
		if i >= 0 {
			a = all[i]
		}
		return i >= 0
	})
	return a
}

func replyTo(d *testDaemon, id string) ipc.Reply {
	d.t.Helper()
	awaitEnd(d, id)
	return mustCall[ipc.Reply](d, ipc.MethodResult, ipc.MessageRef{ID: id})
}

// wantLate wants the error for a decision that comes too late.
func wantLate(t *testing.T, err error, reason, word string) {
	t.Helper()
	e, ok := errors.AsType[*ipc.Error](err)
	if !ok || e.Code != ipc.CodeNotFound || e.Data == nil || e.Data.Reason != reason || !strings.Contains(e.Message, word) {
		t.Errorf("got %v, want reason %s and %q", err, reason, word)
	}
}

// details lists the details of the events of a type.
func details(d *testDaemon, typ string) (all []string) {
	d.t.Helper()
	for _, e := range mustCall[ipc.EventList](d, ipc.MethodEvents, ipc.EventQuery{}).Events {
		if e.Type == typ {
			all = append(all, e.Message+" "+e.Detail)
		}
	}
	return all
}

func TestApprovalWaitsAsData(t *testing.T) {
	d := asking(t)
	const input = `{"command":"secret <&> thing","n":1.50}`
	st := submit(d, ipc.Send{Team: "api", Text: "ask:Bash:" + input})
	a := awaitApproval(d, st.ID)
	if len(a.ID) != 5 || a.Team != "api" || a.Tool != "Bash" || string(a.Input) != input || a.BlockedPath != "/elsewhere" ||
		a.Deadline == nil || a.Deadline.Sub(a.Asked) != 10*time.Minute || a.Process == "" {
		t.Errorf("got %+v", a)
	}
	p := mustCall[ipc.ProcessList](d, ipc.MethodList, nil).Processes[0]
	if want := "waits for approval " + a.ID + ": Bash"; p.Why != want || !slices.Equal(p.Approvals, []string{a.ID}) || p.State != "busy" {
		t.Errorf("ps: %+v", p)
	}
	for f, want := range map[ipc.ApprovalFilter]int{{Team: "api"}: 1, {Team: "echo"}: 0, {ID: a.ID}: 1} {
		if got := mustCall[ipc.ApprovalList](d, ipc.MethodApprovals, f); len(got.Approvals) != want {
			t.Errorf("%+v: got %+v", f, got)
		}
	}
	_, err := call[ipc.ApprovalList](d, ipc.MethodApprovals, ipc.ApprovalFilter{ID: "nosuc"})
	wantLate(t, err, "no-such-approval", `"nosuc"`)
	got := mustCall[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: a.ID, Allow: true})
	if got.Decision != "allowed" || got.By != fmt.Sprintf("pid %d", os.Getpid()) || got.ID != a.ID || len(got.Input) > 0 {
		t.Errorf("got %+v", got)
	}
	if r := replyTo(d, st.ID); r.Outcome != "success" || r.Text != "allowed: "+input {
		t.Errorf("got %+v", r)
	}
	if left := approvalsOf(d); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	_, err = call[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: a.ID})
	wantLate(t, err, "decided", "was allowed by pid")
	asked, decided := details(d, "approval-asked"), details(d, "approval-decided")
	if len(asked) != 1 || asked[0] != st.ID+" "+a.ID+": Bash" || len(decided) != 1 || !strings.HasPrefix(decided[0], st.ID+" "+a.ID+": Bash: allowed by pid ") {
		t.Errorf("events %q, %q", asked, decided)
	}
	log, err := os.ReadFile(d.paths.Log)
	if err != nil || strings.Count(string(log), `"approval decided"`) != 1 || !strings.Contains(string(log), "approval-decided") || strings.Contains(string(log), "secret") {
		t.Errorf("the log: %v\n%s", err, log)
	}
}

func TestDeniedApprovalTellsTheAgentWhy(t *testing.T) {
	d := asking(t)
	for why, want := range map[string]string{"": "the user has denied this", "use \"psql\"\nü": "the user has denied this: use \"psql\"\nü"} {
		st := submit(d, ipc.Send{Team: "api", Text: "ask:Bash:{}"})
		mustCall[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: awaitApproval(d, st.ID).ID, Reason: why})
		if r := replyTo(d, st.ID); r.Outcome != "denied" || r.Text != want || r.Error != "denied: Bash" || r.Reason != "decided" || r.Hint != "" {
			t.Errorf("got %+v", r)
		}
	}
	st := submit(d, ipc.Send{Team: "api", Text: "ask:Bash:{}"})
	id := awaitApproval(d, st.ID).ID
	for _, bad := range []ipc.Decide{
		{ID: id, Allow: true, Reason: "x"}, {ID: id, Reason: strings.Repeat("x", approval.MaxReason+1)},
		{ID: id, Always: true}, {ID: id, Allow: true, Always: true, Answers: []string{"x"}},
		{ID: id, Answers: []string{"x"}}, {ID: id, Allow: true, Answers: []string{"x"}}, {ID: id, Allow: true, Answers: []string{"x", strings.Repeat("x", approval.MaxReason)}},
	} {
		_, err := call[ipc.Approval](d, ipc.MethodDecide, bad)
		if e, ok := errors.AsType[*ipc.Error](err); !ok || e.Code != ipc.CodeUsage {
			t.Errorf("got %v", err)
		}
	}
	mustCall[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: id})
	awaitEnd(d, st.ID)
}

// Without approvals = "ask", or if the team's args set a permission prompt tool, nothing waits.
func TestWithoutAskAToolIsDenied(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "api")+fakeTeam(t, "old", `args = ["--permission-prompt-tool=stdio"]`))
	for team, want := range map[string]string{"api": "This command requires approval", "old": "nobody is there to approve this"} {
		r, err := ask(d, team, "ask:Bash:{}")
		if err != nil || r.Outcome != "denied" || r.Text != want || !strings.Contains(r.Hint, `approvals = "ask"`) {
			t.Errorf("%s: got %+v, %v", team, r, err)
		}
	}
	if left := approvalsOf(d); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestDeadlineDeniesByItself(t *testing.T) {
	d := asking(t, `approval_timeout = "100ms"`)
	st := submit(d, ipc.Send{Team: "api", Text: "ask:Bash:{}"})
	r := replyTo(d, st.ID)
	if r.Outcome != "denied" || r.Text != "nobody has decided about this within 100ms, so it is denied" {
		t.Errorf("got %+v", r)
	}
	got := details(d, "approval-decided")
	if len(got) != 1 || !strings.HasSuffix(got[0], ": Bash: expired by its deadline") {
		t.Fatalf("events %q", got)
	}
	_, err := call[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: strings.Fields(got[0])[1][:5], Allow: true})
	wantLate(t, err, "decided", "was denied at its deadline")
}

// A turn goes on after its team is removed; its approval still has a deadline.
func TestDeadlineOfATeamThatIsGone(t *testing.T) {
	const top = "approval_timeout = \"100ms\"\n"
	gated, open := gate(t)
	d := startDaemon(t, top+fakeTeam(t, "api", `approvals = "ask"`, fmt.Sprintf("args = [%q]", "--fake-latency=@"+gated)))
	id := submit(d, ipc.Send{Team: "api", Text: "ask:Bash:{}"}).ID
	eventually(t, "the turn", func() bool { return show(d, id).State == "running" })
	d.configure(top)
	mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	open()
	if r := replyTo(d, id); r.Outcome != "denied" {
		t.Errorf("got %+v", r)
	}
	if got := details(d, "approval-decided"); len(got) != 1 || !strings.HasSuffix(got[0], ": Bash: expired by its deadline") {
		t.Errorf("events %q", got)
	}
}

// A turn that waits for an approval does not stall. After the decision it can.
func TestWaitingForAnApprovalIsNoStall(t *testing.T) {
	team := fakeTeam(t, "api", `approvals = "ask"`, "approval_timeout = 0", `on_stall = "interrupt"`)
	d := startDaemon(t, team+"stall_timeout = 0\n")
	stallAfter := func(timeout string) {
		t.Helper()
		d.configure(team + "stall_timeout = " + timeout + "\n")
		mustCall[ipc.Reloaded](d, ipc.MethodReload, struct{}{})
	}
	st := submit(d, ipc.Send{Team: "api", Text: "ask:Bash:{}"})
	a := awaitApproval(d, st.ID)
	if a.Deadline != nil {
		t.Errorf("got %+v", a)
	}
	stallAfter(`"50ms"`)
	time.Sleep(500 * time.Millisecond)
	stallAfter("0") // however long the agent takes from the answer on
	mustCall[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: a.ID, Allow: true})
	if m := awaitEnd(d, st.ID); m.State != "done" {
		t.Errorf("it has stalled: %+v", m)
	}
	if got := details(d, "process-stalled"); len(got) != 0 {
		t.Errorf("events %q", got)
	}
	stallAfter(`"1s"`)
	if r, err := ask(d, "api", "hang"); err != nil || r.Outcome != "incomplete" {
		t.Errorf("a turn that hangs has not stalled: %+v, %v", r, err)
	}
}

// The approval is withdrawn when its turn ends, whatever ends it.
func TestEndOfTheTurnWithdrawsTheApproval(t *testing.T) {
	for name, end := range map[string]func(d *testDaemon, a ipc.Approval){
		"cancel": func(d *testDaemon, a ipc.Approval) {
			mustCall[ipc.MessageState](d, ipc.MethodCancel, ipc.MessageID{ID: a.Message})
		},
		"kill": func(d *testDaemon, _ ipc.Approval) {
			mustCall[ipc.Stopped](d, ipc.MethodKill, ipc.Target{Team: "api"})
		},
		"death": func(d *testDaemon, _ ipc.Approval) {
			p, err := os.FindProcess(mustCall[ipc.ProcessList](d, ipc.MethodList, nil).Processes[0].PID)
			if err == nil {
				err = p.Kill()
			}
			if err != nil {
				d.t.Fatal(err)
			}
		},
		"eviction": func(d *testDaemon, _ ipc.Approval) {
			if _, err := ask(d, "echo", "make room"); err != nil {
				d.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDaemon(t, "max_processes = 1\nwhen_full = \"evict\"\nstop_grace = \"2s\"\n"+fakeTeam(t, "api", `approvals = "ask"`))
			st := submit(d, ipc.Send{Team: "api", Text: "ask:Bash:{}"})
			a := awaitApproval(d, st.ID)
			end(d, a)
			eventually(t, "its end", func() bool { return len(approvalsOf(d)) == 0 })
			awaitEnd(d, st.ID)
			_, err := call[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: a.ID, Allow: true})
			wantLate(t, err, "decided", "was withdrawn: its turn has ended")
			if r, err := ask(d, "api", "echo:after"); err != nil || r.Text != "after" {
				t.Errorf("afterwards: %+v, %v", r, err)
			}
		})
	}
}

func TestOneOfManyDecides(t *testing.T) {
	d := asking(t)
	for range 10 {
		st := submit(d, ipc.Send{Team: "api", Text: "ask:Bash:{}"})
		a := awaitApproval(d, st.ID)
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = call[ipc.Approval](d, ipc.MethodDecide, ipc.Decide{ID: a.ID, Allow: i%2 == 0}) })
		}
		wg.Wait()
		r := replyTo(d, st.ID)
		won := -1
		for i, err := range errs {
			if err == nil && won >= 0 {
				t.Errorf("%d and %d have both decided", won, i)
			}
			if err == nil {
				won = i
			}
		}
		word := "was allowed by pid"
		if won%2 == 1 {
			word = "was denied by pid"
		}
		for i, err := range errs {
			if i != won {
				wantLate(t, err, "decided", word)
			}
		}
		if won < 0 || (r.Outcome == "success") != (won%2 == 0) {
			t.Errorf("%d has decided, and the turn ended with %+v", won, r)
		}
	}
}

func TestProcessSaysThatItAsksForNoPermission(t *testing.T) {
	d := startDaemon(t, fakeTeam(t, "free", `args = ["--permission-mode", "bypassPermissions"]`)+fakeTeam(t, "api"))
	for _, team := range []string{"free", "api"} {
		if _, err := ask(d, team, "echo:x"); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range mustCall[ipc.ProcessList](d, ipc.MethodList, nil).Processes {
		want := map[string]string{"free": "--permission-mode bypassPermissions"}[p.Team]
		if p.Bypass != want || strings.Contains(p.Why, "no permission checks") != (want != "") {
			t.Errorf("%s: %q, %q", p.Team, p.Bypass, p.Why)
		}
	}
}
