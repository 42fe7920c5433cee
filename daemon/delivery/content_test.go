package delivery

import (
	"strings"
	"testing"

	"iris/daemon/agents"
	"iris/ipc"
)

func TestContentOfAMessage(t *testing.T) {
	const picture = `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}`
	for _, c := range []struct{ text, content, want string }{
		{"", `[{"type":"text","text":"a"}, ` + picture + `]`, ""},
		{"", `[` + picture + `]`, ""},
		{"a", "", ""},
		{"a", `[` + picture + `]`, "text or content"},
		{"", `[]`, "blank"},
		{"", `[{"type":"text","text":" "}]`, "blank"},
		{"", `"a"`, "a list of blocks"},
		{"", `null`, "blank"},
		{"", `[{"type":"text","text":"a"},{"type":"tool_result","text":"b"}]`, "block 2 is neither"},
		{"", `[{"type":"image","source":{"type":"url","media_type":"image/png","data":"AAAA"}}]`, "block 1 is neither"},
		{"", `[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"***"}}]`, "a list of blocks"},
		{"", `[{"type":"image","source":{"type":"base64","media_type":"image/png","data":""}}]`, "block 1 is neither"},
		{"", `[{"type":"image"}]`, "block 1 is neither"},
		{"", `[{"type":"video","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]`, "block 1 is neither"},
		{"", `[{"type":"text","text":"a","cache_control":{}}]`, "unknown field"},
		{"", `[{"type":"text","text":"a"},{"type":"text"}]`, "block 2 has no text"},
		{"", `[{"type":"text","text":"a"},{"type":"text","text":" \n"}]`, "block 2 has no text"},
		{"", `[{"type":"text","text":"a","title":"b"}]`, "block 1 is neither"},
		{"", `[{"type":"image","source":{"type":"base64","media_type":"image/tiff","data":"AAAA"}}]`, "block 1: media_type of a image is \"image/tiff\": it must be image/png, "},
		{"", `[{"type":"document","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]`, "it must be application/pdf"},
		{"", `[{"type":"text","text":"` + strings.Repeat("a", agents.MaxMessage) + `"}]`, "more than the"},
	} {
		_, err := bodyOf(&ipc.Send{Text: c.text, Content: []byte(c.content)})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80q: got %v, want %q", c.content, err, c.want)
		}
	}
}

// The agent reads exactly the content that was checked.
func TestContentIsWrittenAnew(t *testing.T) {
	body, err := bodyOf(&ipc.Send{Content: []byte(`[{"TYPE":"text", "Text":"<a>","text":"<b>"}]`)})
	if want := `[{"type":"text","text":"<b>"}]`; err != nil || string(body) != want {
		t.Errorf("got %s, %v, want %s", body, err, want)
	}
}

func TestLongestContentIsAllowed(t *testing.T) {
	const around = `[{"type":"text","text":""}]`
	for size, want := range map[int]bool{agents.MaxMessage: true, agents.MaxMessage + 1: false} {
		content := strings.Replace(around, `""`, `"`+strings.Repeat("a", size-len(around))+`"`, 1)
		if _, err := bodyOf(&ipc.Send{Content: []byte(content)}); (err == nil) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
