package claude

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What may end a turn is news when it begins and for as long as its line is not
// finished; all else is none.
func TestScanTellsWhatMayEndATurn(t *testing.T) {
	l := &Orphan{Path: filepath.Join(t.TempDir(), "s.p.out")}
	f, err := os.Create(l.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	long := strings.Repeat("x", chunk-20)
	var s Scan
	for i, c := range []struct {
		text string
		news bool
	}{
		{"", false},
		{`{"type":"assistant","text":"\"result\""}` + "\n", false},
		{`{"duration_ms":1,"type":"res`, false},
		{`ult","result":"`, true},
		{long, true},
		{`"}` + "\n", true},
		{`{"type":"assistant"}` + "\n", false},
		{`{"text":"` + long, false},
		{`","type":"result"}` + "\n", true},
		{`{"type":"system","subtype":"background_tasks_changed","tasks":[]}` + "\n", true},
		{"", false},
	} {
		f.WriteString(c.text)
		if news, err := s.News(l); err != nil || news != c.news {
			t.Errorf("%d: got %v, %v", i, news, err)
		}
	}
	os.Remove(l.Path)
	if _, err := s.News(l); err == nil {
		t.Error("no error for a file that is gone")
	}
}
