package ipc

import (
	"bufio"
	"net"
	"sync"
	"testing"
	"testing/synctest"
)

// A daemon that gives output back to the disk once it was passed on loses it if it dies
// while the output only waits in its queue behind the frame of another goroutine.
func TestWrittenMeansThatNothingIsInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		var o outbox
		o.init(ours, &Options{MaxQueueBytes: 1 << 20, MaxQueueFrames: 10})
		var wg sync.WaitGroup
		defer wg.Wait()
		add(t, &o, "first\n", true)
		wg.Go(o.flush)
		synctest.Wait() // it writes the first frame, which nobody reads
		add(t, &o, "second\n", false)
		written := false
		wg.Go(func() { written = o.awaitWritten() == nil })
		synctest.Wait()
		if written {
			t.Error("said to be written, and is in the queue")
		}
		in := bufio.NewReader(theirs)
		for _, want := range []string{"first\n", "second\n"} {
			if got, err := in.ReadString('\n'); got != want {
				t.Errorf("got %q, %v", got, err)
			}
		}
		synctest.Wait()
		if !written {
			t.Error("written, and not said to be")
		}
	})
}

func add(t *testing.T, o *outbox, frame string, writes bool) {
	t.Helper()
	if flusher, err := o.add([]byte(frame), true, waitFull); err != nil || flusher != writes {
		t.Fatalf("%q: the caller writes %t, %v", frame, flusher, err)
	}
}
