package claude

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// growing is a file that becomes visible bit by bit.
type growing struct {
	data  []byte
	shown int
}

func (g *growing) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(g.data[:g.shown]).ReadAt(b, off)
}

// events reads data that grows at the cuts and returns the lines found.
func events(t testing.TB, data []byte, limit int64, cuts ...int) []string {
	t.Helper()
	g := &growing{data: data}
	r := lineReader{f: g, max: limit}
	var out []string
	s := sink{
		line: func(line []byte) { out = append(out, string(line)) },
		long: func(head, _ []byte, n int64) bool { return true },
		over: func(head, _ []byte, n int64) { out = append(out, fmt.Sprintf("over %d %.10s", n, head)) },
	}
	for _, cut := range append(cuts, len(data)) {
		g.shown = cut
		if err := r.all(s); err != nil {
			t.Fatal(err)
		}
	}
	return append(out, "rest "+string(r.rest()))
}

func TestReaderLines(t *testing.T) {
	long, longer := strings.Repeat("x", chunk+5), strings.Repeat("y", 3*chunk)
	limit := strings.Repeat("z", 4*chunk)
	data := "a\n\nb\r\n" + long + "\n" + longer + "\n" + "c\x00d\n\x00\x00\x00e\n" + limit + "\n" + limit + "z\nf\n" + strings.Repeat("w", chunk) + "\ntail"
	want := []string{"a", "", "b", long, longer, "c\x00d", "e", limit, fmt.Sprintf("over %d zzzzzzzzzz", 4*chunk+1), "f", strings.Repeat("w", chunk), "rest tail"}
	got := events(t, []byte(data), 4*chunk)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %.40q, want %.40q", got, want)
	}
	for cut := 0; cut < len(data); cut += 977 {
		if again := events(t, []byte(data), 4*chunk, cut); !reflect.DeepEqual(again, want) {
			t.Fatalf("cut at %d: got %.40q", cut, again)
		}
	}
}

// A hole of any size before a line is nothing.
func TestReaderSkipsHoles(t *testing.T) {
	for _, hole := range []int{1, 4096, chunk - 1, chunk, chunk + 1, 10 * chunk} {
		data := "first\n" + strings.Repeat("\x00", hole) + "second\n"
		want := []string{"first", "second", "rest "}
		if got := events(t, []byte(data), chunk); !reflect.DeepEqual(got, want) {
			t.Errorf("hole of %d: got %.40q", hole, got)
		}
	}
}

func TestReaderDoesNotLoadWhatNobodyWants(t *testing.T) {
	data := []byte(`{"type":"assistant",` + strings.Repeat("x", 10*chunk) + "\nshort\n")
	r := lineReader{f: bytes.NewReader(data), max: maxLine}
	var got []string
	r.all(sink{
		line: func(line []byte) { got = append(got, string(line)) },
		long: func(head, _ []byte, n int64) bool {
			typ, _, ok := route(head)
			got = append(got, fmt.Sprintf("%s %v %v", typ, ok, n > 10*chunk))
			return false
		},
	})
	if want := []string{"assistant true true", "short"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %.60q, want %q", got, want)
	}
}

// FuzzStream: however the bytes arrive, the same lines are found, and nothing
// in them makes the driver panic.
func FuzzStream(f *testing.F) {
	for _, c := range recordings {
		f.Add(recorded(f, versions[1], c.name))
	}
	f.Add([]byte("\x00\x00{\"type\":\"result\"}\r\n\n{}\n[]\nnull\n{\"type\":\"result\",\"origin\":null,\"result\":\"\\ud83c\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		want := events(t, data, 2000)
		for cut := range len(data) {
			if len(data) > 2000 && cut%(len(data)/200) != 0 {
				continue
			}
			if got := events(t, data, 2000, cut); !reflect.DeepEqual(got, want) {
				t.Fatalf("cut at %d: got %q, want %q", cut, got, want)
			}
		}
		replay(data)
	})
}
