package journal

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// BenchmarkAfterABacklog is a message after 100,000 others of 3 KB were pruned, as the
// file then is and after Compact, over a message of a new journal: the time, and the
// bytes written.
func BenchmarkAfterABacklog(b *testing.B) {
	n := many
	if testing.Short() {
		n /= 10
	}
	for b.Loop() {
		fresh, _ := benchJournal(b)
		j, path := backlog(b, n, 3<<10)
		wanted, wantedBytes := perMessage(b, fresh, many)
		full, fullBytes := perMessage(b, j, many)
		before := fileSize(b, path)
		start := time.Now()
		if freed, err := j.Compact(b.Context()); freed == 0 || err != nil {
			b.Fatal(freed, err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "compact-s")
		compacted, compactedBytes := perMessage(b, j, 2*many)
		b.ReportMetric(float64(before)/1e6, "MB-before")
		b.ReportMetric(float64(fileSize(b, path))/1e6, "MB-after")
		b.ReportMetric(float64(full)/float64(wanted), "time-before/new")
		b.ReportMetric(float64(compacted)/float64(wanted), "time-after/new")
		b.ReportMetric(fullBytes/wantedBytes, "bytes-before/new")
		b.ReportMetric(compactedBytes/wantedBytes, "bytes-after/new")
	}
}

// perMessage is the time and the bytes written for a message, from its acceptance to its
// end. The messages are those after the number first.
func perMessage(b *testing.B, j *Journal, first int) (time.Duration, float64) {
	const n = 200
	var all []time.Duration
	before := written(b)
	for i := range n {
		m := message(first + 1 + i)
		start := time.Now()
		must1(j.AcceptAndDispatch(m, attempt(i)))(b)
		must1(j.End(m.ID, done("answer")))(b)
		all = append(all, time.Since(start))
	}
	return p50(all), float64(written(b)-before) / n
}

// written is how many bytes this process has written.
func written(b *testing.B) (n int64) {
	data, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip("there is no /proc/self/io: ", err)
	}
	var read int64
	if _, err := fmt.Sscanf(string(data), "rchar: %d\nwchar: %d", &read, &n); err != nil {
		b.Fatal(err)
	}
	return n
}
