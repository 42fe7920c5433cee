//go:build !linux

package ipc

import "net"

func dialUnix(path string) (stream, error) {
	nc, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	return nc.(*net.UnixConn), nil
}
