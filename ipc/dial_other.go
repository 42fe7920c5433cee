//go:build !linux

package ipc

import (
	"net"
	"time"
)

func dialUnix(path string) (stream, error) {
	nc, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	return polled{nc}, nil
}

type polled struct{ *net.UnixConn }

// setPatience sets one deadline for all that follows until the next call.
func (p polled) setPatience(d time.Duration) error { return p.SetDeadline(time.Now().Add(d)) }

// interrupt does not spare here what has arrived.
func (p polled) interrupt() { p.Close() }
