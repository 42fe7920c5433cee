package ipc

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestSocketOutlivesItsListener(t *testing.T) {
	dir, err := os.MkdirTemp("", "iris") // short: the socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sock")
	first, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := first.HandOver()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	waits, err := net.Dial("unix", path) // nobody accepts now
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	second, err := TakeOver(h)
	if err != nil {
		t.Fatal(err)
	}
	c, err := second.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if !second.Present() {
		t.Error("the socket is not at its path")
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	if _, err := TakeOver(h); err == nil {
		t.Error("its descriptor is still open")
	}
}
