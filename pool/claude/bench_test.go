package claude

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"iris/pool/claude/claudetest"
)

// pipes is the plainest driver there can be: two pipes, one line each way.
type pipes struct {
	cmd *exec.Cmd
	in  *os.File
	out *bufio.Reader
}

func startPipes(b testing.TB, o *Options) *pipes {
	b.Helper()
	cmd := exec.Command(o.Command, o.argv()[1:]...)
	cmd.Dir, cmd.Env = o.Dir, o.environ()
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	r.Close()
	p := &pipes{cmd, w, bufio.NewReaderSize(out, 1<<20)}
	b.Cleanup(func() {
		w.Close()
		cmd.Wait()
	})
	fmt.Fprintln(w, `{"type":"control_request","request_id":"r","request":{"subtype":"initialize"}}`)
	p.until(b, "control_response")
	return p
}

func (p *pipes) until(b testing.TB, typ string) []byte {
	for {
		line, err := p.out.ReadBytes('\n')
		if err != nil {
			b.Fatal(err)
		}
		if got, _, _ := route(line); got == typ {
			return line
		}
	}
}

func (p *pipes) ask(b testing.TB, text string) {
	fmt.Fprintf(p.in, `{"type":"user","message":{"role":"user","content":%q}}`+"\n", text)
	var r struct{ Result string }
	if err := json.Unmarshal(p.until(b, "result"), &r); err != nil || r.Result != "hi" {
		b.Fatal(err, r)
	}
	p.until(b, "system") // idle
}

// BenchmarkRealTurn takes turns between the driver and two bare pipes, so that
// both see the same machine, and reports the medians and their ratio.
func BenchmarkRealTurn(b *testing.B) {
	r := realRig(b)
	driver := r.start()
	r.o.SessionID = NewSessionID()
	bare := startPipes(b, &r.o)
	send(b, driver, "echo:hi")
	bare.ask(b, "echo:hi")
	var ours, theirs []time.Duration
	for b.Loop() {
		begun := time.Now()
		send(b, driver, "echo:hi")
		ours = append(ours, time.Since(begun))
		begun = time.Now()
		bare.ask(b, "echo:hi")
		theirs = append(theirs, time.Since(begun))
	}
	m, n := median(ours), median(theirs)
	b.ReportMetric(float64(m.Microseconds()), "driver-us")
	b.ReportMetric(float64(n.Microseconds()), "pipes-us")
	b.ReportMetric(float64(m)/float64(n), "ratio")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// BenchmarkTurn is the driver's own part: the agent answers at once.
func BenchmarkTurn(b *testing.B) {
	p := fakeRig(b).start()
	for b.Loop() {
		send(b, p, "echo:hi")
	}
}

func BenchmarkResultLine(b *testing.B) {
	text, _ := json.Marshal(claudetest.Text(8 << 20))
	line := fmt.Appendf(nil, `{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":%s,"session_id":"x","total_cost_usd":1.5,"usage":{"input_tokens":1},"permission_denials":[]}`, text)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if r, ok := parseResult(line); !ok || len(r.Text) != 8<<20 {
			b.Fatal(ok, len(r.Text))
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	line := slices.Concat([]byte(`{"type":"assistant","message":{"content":[{"type":"text","text":"`), slices.Repeat([]byte("x"), 8<<20), []byte(`"}]}}`))
	for b.Loop() {
		if typ, _, ok := route(line); typ != "assistant" || !ok {
			b.Fatal(typ)
		}
	}
}
