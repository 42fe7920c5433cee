package daemon

import (
	"testing"
	"time"

	"iris/ipc"
)

func TestAgentThatGoesWhileTheDiskIsFullIsRecordedLater(t *testing.T) {
	if !alone(t) {
		return
	}
	d := startDaemon(t, "")
	if _, err := ask(d, "echo", "x"); err != nil {
		t.Fatal(err)
	}
	since := ipc.ProcessQuery{GoneSince: time.Now()}
	fix := fillDisk(d)
	mustCall[ipc.Stopped](d, ipc.MethodEvict, ipc.Target{Team: "echo"})
	if list, err := call[ipc.ProcessList](d, ipc.MethodList, since); err == nil {
		t.Errorf("got %+v on a full disk", list.Gone)
	}
	if list := mustCall[ipc.ProcessList](d, ipc.MethodList, nil); list.Total != 0 {
		t.Errorf("the list without them: got %+v", list)
	}
	fix()
	eventually(t, "the record", func() bool {
		list, err := call[ipc.ProcessList](d, ipc.MethodList, since)
		return err == nil && len(list.Gone) == 1 && list.Gone[0].Why == "evicted" && list.Gone[0].Messages == 1
	})
}
