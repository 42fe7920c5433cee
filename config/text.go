package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A text is a valid TOML file as it is written, to be changed in single places.
// Comments, order and spaces outside of the change stay.
type text struct {
	data  []byte
	lines []statement
}

// A statement is a header or an assignment. Its path is that of the table or of the
// key from the root.
type statement struct {
	header bool
	path   []string
	names  []span // the parts of the path that are written here, its last ones
	value  span   // of an assignment
}

// A span is a part of a text, by offsets.
type span struct{ from, to int }

// errByHand is the error for a place that only a person can change.
var errByHand = errors.New(`is written in a way that iris does not change by itself; "iris config edit" opens the file`)

// parseText finds the statements of a valid TOML file.
func parseText(data []byte) *text {
	t := &text{data: data}
	bom := len(data) - len(bytes.TrimPrefix(data, []byte("\ufeff")))
	var p unstable.Parser
	p.Reset(data[bom:])
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		s := statement{header: e.Kind != unstable.KeyValue}
		for it := e.Key(); it.Next(); {
			n := it.Node()
			s.path = append(s.path, string(n.Data))
			s.names = append(s.names, span{bom + int(n.Raw.Offset), bom + int(n.Raw.Offset+n.Raw.Length)})
		}
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = s.path
		case unstable.KeyValue:
			s.path = slices.Concat(table, s.path)
			s.value = t.valueAfter(s.names[len(s.names)-1].to, e.Value())
		default:
			continue
		}
		t.lines = append(t.lines, s)
	}
	return t
}

// valueAfter returns the place of the value whose key ends at an offset. The parser
// does not say where a list or an inline table ends: at the first bracket with which
// it is complete.
func (t *text) valueAfter(key int, n *unstable.Node) span {
	rest := t.data[key:]
	from := bytes.IndexByte(rest, '=') + 1
	from += key + len(rest[from:]) - len(bytes.TrimLeft(rest[from:], " \t"))
	bracket := byte(']')
	switch n.Kind {
	case unstable.InlineTable:
		bracket = '}'
	case unstable.Array:
	default:
		return span{from, from + int(n.Raw.Length)}
	}
	for to := from; ; {
		i := bytes.IndexByte(t.data[to:], bracket)
		if i < 0 {
			return span{from, len(t.data)}
		}
		to += i + 1
		var p unstable.Parser
		p.Reset(slices.Concat([]byte("x = "), t.data[from:to]))
		for p.NextExpression() {
		}
		if p.Error() == nil {
			return span{from, to}
		}
	}
}

// set writes the value of a key, which it replaces or adds. The table is nil for the
// top level; any other one needs a header.
func (t *text) set(table []string, key, value string) ([]byte, error) {
	path := slices.Concat(table, []string{key})
	for _, s := range t.lines {
		switch {
		case slices.Equal(s.path, path) && !s.header:
			return t.replace(s.value, value), nil
		case begins(s.path, path), !s.header && begins(path, s.path):
			return nil, fmt.Errorf("%s %w", key, errByHand)
		}
	}
	at := t.end(table, key)
	if at < 0 {
		return nil, fmt.Errorf("the table of %s %w", key, errByHand)
	}
	return t.insert(at, tomlKey(key)+" = "+value), nil
}

// begins reports whether path begins with start.
func begins(path, start []string) bool {
	return len(path) >= len(start) && slices.Equal(path[:len(start)], start)
}

// end returns the offset of the line after which a new key of a table belongs, or -1
// if the table has no header. At the top level that is the line of the sample that
// shows the key, if it is there.
func (t *text) end(table []string, key string) int {
	at := -1
	if table == nil {
		at = 0
	}
	top, inside := len(t.data), table == nil
	for _, s := range t.lines {
		switch {
		case s.header:
			top = min(top, s.names[0].from)
			if inside = slices.Equal(s.path, table); inside {
				at = s.names[len(s.names)-1].to
			}
		case inside:
			at = s.value.to
		}
	}
	if table == nil {
		shown := regexp.MustCompile(`(?m)^#[ \t]*` + key + `[ \t]*=`)
		if m := shown.FindIndex(t.data[:top]); m != nil {
			at = m[1]
		}
	}
	return at
}

// insert adds a line after the line of an offset; 0 stands for the beginning.
func (t *text) insert(at int, line string) []byte {
	feed := "\n"
	if bytes.Contains(t.data, []byte("\r\n")) {
		feed = "\r\n"
	}
	if at == 0 {
		bom := len(t.data) - len(bytes.TrimPrefix(t.data, []byte("\ufeff")))
		if len(t.data) > bom {
			feed += feed // a blank line before what was the first one
		}
		return t.replace(span{bom, bom}, line+feed)
	}
	i := bytes.IndexByte(t.data[at:], '\n')
	if i < 0 {
		return t.replace(span{len(t.data), len(t.data)}, feed+line+feed)
	}
	return t.replace(span{at + i + 1, at + i + 1}, line+feed)
}

// rename gives a team another name wherever the text names it.
func (t *text) rename(team, name string) ([]byte, error) {
	data, found := t.data, false
	for _, s := range slices.Backward(t.lines) { // from the end: the offsets before stay
		written := len(s.path) - len(s.names) // how many parts of the path are in the header before
		if begins(s.path, []string{"teams", team}) && written < 2 {
			data, found = replace(data, s.names[1-written], tomlKey(name)), true
		}
	}
	if !found {
		return nil, fmt.Errorf("team %q %w", team, errByHand)
	}
	return data, nil
}

func (t *text) replace(at span, by string) []byte { return replace(t.data, at, by) }

func replace(data []byte, at span, by string) []byte {
	return slices.Concat(data[:at.from], []byte(by), data[at.to:])
}
