package daemon

import (
	"bytes"
	"fmt"
	"os"
)

// parent returns the id of the agent whose tool is the peer, by the mark that
// iris put into the agent's environment; empty when it has none. The mark only
// says whose turn may be waiting: it grants and forbids nothing by itself.
func (d *Daemon) parent(pid int) string {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return ""
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if id, ok := bytes.CutPrefix(v, []byte("IRIS_PROCESS=")); ok {
			return string(id)
		}
	}
	return ""
}
