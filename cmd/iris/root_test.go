package main

import (
	"io"
	"testing"

	"iris/config"
)

// TestTreeOfOneCommandIsThatOfAll checks that leaving the others out changes
// nothing for the command that runs.
func TestTreeOfOneCommandIsThatOfAll(t *testing.T) {
	for _, c := range constructors {
		one, _, err := newRootCmd(c.name, "x").Find([]string{c.name})
		if err != nil || one.Name() != c.name {
			t.Errorf("%s: got %v, %v", c.name, one, err)
		}
	}
}

// BenchmarkTree is what every start pays for the command tree.
func BenchmarkTree(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newRootCmd("ps")
	}
}

// BenchmarkRun is the whole of a command that asks no daemon.
func BenchmarkRun(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		root := newRootCmd("version")
		root.SetArgs([]string{"version"})
		root.SetOut(io.Discard)
		if err := root.Execute(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPaths is finding the socket.
func BenchmarkPaths(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		p, err := config.Resolve("")
		if err != nil {
			b.Fatal(err)
		}
		p.FindSocket()
	}
}
