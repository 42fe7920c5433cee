package ipc

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// statusAnswer is about the size of the most frequent request of iris ps.
var statusAnswer = Status{PID: 4711, Version: "1.2.0", Protocol: Version, Socket: "/run/user/1000/iris/iris.sock", Config: "/home/u/.config/iris/config.toml"}

// pingPong returns a function that sends a request over a socket and waits for
// an answer of given sizes, with nothing between it and the kernel.
func pingPong(b *testing.B, request, answer int) func() {
	path := socketPath(b)
	ln, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		in, out := make([]byte, request), make([]byte, answer)
		for {
			if _, err := io.ReadFull(nc, in); err != nil {
				return
			}
			nc.Write(out)
		}
	})
	nc, err := net.Dial("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { nc.Close(); ln.Close(); wg.Wait() })
	out, in := make([]byte, request), make([]byte, answer)
	return func() {
		nc.Write(out)
		if _, err := io.ReadFull(nc, in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCall compares a call on an open connection with the same bytes over a
// bare socket, in turns of 100: ratio is what the protocol costs.
func BenchmarkCall(b *testing.B) {
	s := NewServer(Options{})
	s.Handle(MethodStatus, func(context.Context, *Call) (any, error) { return &statusAnswer, nil })
	c := dial(b, start(b, s))
	ctx := context.Background()
	line, _ := appendResult(nil, []byte("1000"), &statusAnswer)
	raw := pingPong(b, len(statusLine)+3, len(line))
	var st Status
	mustCall(b, c, MethodStatus, nil, &st)
	var calls, raws time.Duration
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		begun := time.Now()
		if err := c.Call(ctx, MethodStatus, nil, &st); err != nil {
			b.Fatal(err)
		}
		calls += time.Since(begun)
		b.StopTimer()
		begun = time.Now()
		raw()
		raws += time.Since(begun)
		b.StartTimer()
	}
	b.ReportMetric(float64(calls)/float64(raws), "x-raw")
	b.ReportMetric(float64(raws.Nanoseconds())/float64(b.N), "raw-ns/op")
}

// BenchmarkRun is what a command does: connect, say hello, call, close.
func BenchmarkRun(b *testing.B) {
	s := NewServer(Options{})
	s.Handle(MethodStatus, func(context.Context, *Call) (any, error) { return &statusAnswer, nil })
	path := start(b, s)
	b.ReportAllocs()
	for b.Loop() {
		c, err := Dial(context.Background(), path, Hello{Version: "1.2.0"})
		if err != nil {
			b.Fatal(err)
		}
		var st Status
		if err := c.Call(context.Background(), MethodStatus, nil, &st); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}

func longText(n int) []byte {
	const line = "A line of an answer, with \"quotes\" and a \\ here and there.\n"
	text := make([]byte, 0, n+len(line))
	for len(text) < n {
		text = append(text, line...)
	}
	return text
}

// BenchmarkLargeAnswer takes an answer of 8 MB from the handler to its reader.
func BenchmarkLargeAnswer(b *testing.B) {
	text := string(longText(8 << 20))
	s := NewServer(Options{})
	s.Handle(MethodSend, func(context.Context, *Call) (any, error) { return &Reply{ID: "m1", Text: text}, nil })
	c := dial(b, start(b, s))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var r Reply
		mustCall(b, c, MethodSend, nil, &r)
		if len(r.Text) != len(text) {
			b.Fatalf("got %d bytes", len(r.Text))
		}
	}
}

func BenchmarkLargeRaw(b *testing.B) {
	n := 8 << 20
	raw := pingPong(b, 100, n)
	b.SetBytes(int64(n))
	for b.Loop() {
		raw()
	}
}

func BenchmarkQuoteString(b *testing.B) {
	s := string(longText(1 << 20))
	dst := make([]byte, 0, 2*len(s))
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		QuoteString(dst, s)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	line := []byte(`{"jsonrpc":"2.0","id":1,"method":"message.send","params":{"team":"api","text":"fix the failing test"}}`)
	b.ReportAllocs()
	for b.Loop() {
		parseRequest(line)
	}
}
