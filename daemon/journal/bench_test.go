package journal

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func benchJournal(b *testing.B) (*Journal, string) {
	path := filepath.Join(b.TempDir(), "journal")
	j := must1(Open(path))(b)
	b.Cleanup(func() { j.Close() })
	return j, path
}

func p50(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// BenchmarkAcceptOverSync compares a durable accept with one write and
// fdatasync of the same size, one after the other in the same run.
func BenchmarkAcceptOverSync(b *testing.B) {
	j, _ := benchJournal(b)
	f := must1(os.Create(filepath.Join(b.TempDir(), "f")))(b)
	defer f.Close()
	body := make([]byte, 512)
	var accept, both, sync []time.Duration
	n := 0
	for b.Loop() {
		start := time.Now()
		syncOnce(b, f, body, n)
		sync = append(sync, time.Since(start))

		m := message(2 * n)
		m.Body = body
		start = time.Now()
		must1(j.Accept(m))(b)
		accept = append(accept, time.Since(start))

		m = message(2*n + 1)
		m.Body = body
		start = time.Now()
		must1(j.AcceptAndDispatch(m, attempt(n)))(b)
		both = append(both, time.Since(start))
		n++
	}
	s := p50(sync)
	b.ReportMetric(float64(s.Microseconds()), "sync-p50-us")
	b.ReportMetric(float64(p50(accept).Microseconds()), "accept-p50-us")
	b.ReportMetric(float64(p50(accept))/float64(s), "accept/sync")
	b.ReportMetric(float64(p50(both))/float64(s), "accept+dispatch/sync")
}

func BenchmarkAccept64(b *testing.B) {
	j, _ := benchJournal(b)
	body := make([]byte, 512)
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range 64 {
		wg.Go(func() {
			for {
				n := int(next.Add(1))
				if n > b.N {
					return
				}
				m := message(n)
				m.Body = body
				if _, err := j.Accept(m); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "accepts/s")
}

const many = 100_000

// fill puts many queued messages into a journal, in few transactions.
func fill(tb testing.TB, path string) {
	j := must1(Open(path))(tb)
	defer j.Close()
	body := make([]byte, 512)
	for n := 0; n < many; n += 1000 {
		err := j.update(func(tx *txn) error {
			for i := range 1000 {
				m := message(n + i)
				m.Body = body
				if _, _, err := record(tx, &m, describe(body), nil); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// BenchmarkRecover100000 opens a journal and takes all that is queued.
func BenchmarkRecover100000(b *testing.B) {
	path := filepath.Join(b.TempDir(), "journal")
	fill(b, path)
	var held uint64
	for b.Loop() {
		before := heap()
		j := must1(Open(path))(b)
		all := make([]Message, 0, many)
		for m, err := range j.Queued() {
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, m)
		}
		if len(all) != many {
			b.Fatalf("got %d", len(all))
		}
		held = heap() - before
		runtime.KeepAlive(all)
		j.Close()
	}
	b.ReportMetric(float64(held)/1e6, "heap-MB")
}

// BenchmarkAcceptWhileListing measures what listing 100,000 messages over and
// over costs an accept.
func BenchmarkAcceptWhileListing(b *testing.B) {
	path := filepath.Join(b.TempDir(), "journal")
	fill(b, path)
	j := must1(Open(path))(b)
	defer j.Close()
	measure := func(from int) []time.Duration {
		var d []time.Duration
		for n := range 300 {
			start := time.Now()
			must1(j.Accept(message(many + from + n)))(b)
			d = append(d, time.Since(start))
		}
		slices.Sort(d)
		return d
	}
	var alone, beside []time.Duration
	var lists atomic.Int64
	round := 0
	var listing time.Duration
	for b.Loop() {
		alone = measure(round)
		var stop atomic.Bool
		var wg sync.WaitGroup
		start := time.Now()
		wg.Go(func() {
			for !stop.Load() {
				for _, err := range j.List(Filter{States: []State{Unknown}}) {
					b.Error(err)
				}
				lists.Add(1)
			}
		})
		beside = measure(round + 300)
		stop.Store(true)
		wg.Wait()
		listing = time.Since(start)
		round += 600
	}
	b.ReportMetric(float64(alone[150].Microseconds()), "alone-p50-us")
	b.ReportMetric(float64(beside[150].Microseconds()), "listing-p50-us")
	b.ReportMetric(float64(beside[297].Microseconds()), "listing-p99-us")
	b.ReportMetric(float64(listing.Milliseconds())*float64(round/600)/float64(lists.Load()), "ms/list")
}

func BenchmarkOpenNew(b *testing.B) {
	dir := b.TempDir()
	n := 0
	for b.Loop() {
		n++
		j := must1(Open(filepath.Join(dir, messageID(n))))(b)
		b.StopTimer()
		j.Close()
		b.StartTimer()
	}
}

func BenchmarkOpenExisting(b *testing.B) {
	j, path := benchJournal(b)
	j.Close()
	for b.Loop() {
		j := must1(Open(path))(b)
		b.StopTimer()
		j.Close()
		b.StartTimer()
	}
}

func BenchmarkCheck100000(b *testing.B) {
	path := filepath.Join(b.TempDir(), "journal")
	fill(b, path)
	j := must1(Open(path))(b)
	defer j.Close()
	for b.Loop() {
		if err := j.Check(); err != nil {
			b.Fatal(err)
		}
	}
}
