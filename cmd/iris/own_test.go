package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"iris/ipc"
)

func TestEarlierAnswersArePrintedFirst(t *testing.T) {
	for _, c := range []struct {
		reply *ipc.Reply
		want  string
	}{
		{withEarlier("found", "launched"), "launched\n\nfound\n"},
		{withEarlier("found\n", "launched\n", "still\nat it"), "launched\n\nstill\nat it\n\nfound\n"},
		{replyOf("found"), "found\n"},
		{withEarlier("", "launched"), "launched\n\n"},
	} {
		var out, stderr bytes.Buffer
		if err := printReply(&out, &stderr, c.reply, false); err != nil || out.String() != c.want {
			t.Errorf("%q: got %q, %v, want %q", c.reply.Earlier, out.String(), err, c.want)
		}
	}
}

func TestEarlierAnswersAreAListInJSON(t *testing.T) {
	var out bytes.Buffer
	if err := printReplyJSON(&out, errorReply{}, withEarlier("found", "launched"), nil); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, `"earlier":["launched"]`) || !strings.Contains(got, `"text":"found"`) {
		t.Errorf("got %s", got)
	}
	out.Reset()
	if err := printReplyJSON(&out, errorReply{}, replyOf("found"), nil); err != nil || strings.Contains(out.String(), "earlier") {
		t.Errorf("without any: %s, %v", out.String(), err)
	}
}

func TestMessageThatDoesNotWaitForBackgroundWork(t *testing.T) {
	o := sendOptions{noWait: true}
	if p := o.params("api", "", "hi"); !p.NoWait {
		t.Errorf("got %+v", p)
	} else if b, err := json.Marshal(p); err != nil || !strings.Contains(string(b), `"no_background_wait":true`) {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestOwnTurnsHaveColumnsOfTheirOwn(t *testing.T) {
	since := time.Now().Add(-time.Minute)
	p := ipc.Process{Team: "api", State: "busy", Works: "scheduler", TurnSince: &since, Messages: 4, Own: 3, Why: "works by itself: scheduler"}
	row := processRow(p, time.Now(), "")
	cells := map[string]string{}
	for i, name := range processHeader {
		cells[name] = row[i]
	}
	if cells["STATE"] != "busy 60s" || cells["MSGS"] != "4+3" || cells["WHY"] != p.Why {
		t.Errorf("got %v", cells)
	}
	sum := ipc.UsageSum{Team: "api", Messages: 2, CostUSD: 1, Own: ipc.OwnSum{Turns: 3, CostUSD: 0.25, Usage: ipc.Usage{Input: 9}}}
	v := viewOf(&sum, time.Local)
	var out bytes.Buffer
	if err := printUsageSums(&out, &usageOptions{by: "team"}, []usageView{v}, v); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if got := strings.Fields(lines[1]); len(got) != 9 || got[1] != "2" || got[6] != "$1.00" || got[7] != "3" || got[8] != "$0.25" {
		t.Errorf("got %q", got)
	}
	out.Reset()
	if err := printUsageSums(&out, &usageOptions{json: true}, []usageView{v}, v); err != nil || !strings.Contains(out.String(), `"own":{"turns":3,"cost_usd":0.25,"usage":{"input_tokens":9,`) {
		t.Errorf("got %s, %v", out.String(), err)
	}
}
