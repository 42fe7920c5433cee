package sys

import "bytes"

// Head keeps the first 4096 bytes written to it. The buffer is not embedded: its
// ReadFrom would keep everything.
type Head struct{ kept bytes.Buffer }

// Write implements io.Writer. It takes all of p.
func (h *Head) Write(p []byte) (int, error) {
	h.kept.Write(p[:min(len(p), max(0, 4096-h.kept.Len()))])
	return len(p), nil
}

func (h *Head) String() string { return h.kept.String() }
