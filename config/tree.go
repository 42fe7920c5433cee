package config

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// position is a place in a file, both from 1; the column counts bytes.
type position struct{ line, col int }

// value is a value of a TOML document with its place in the file.
type value struct {
	kind  unstable.Kind // Table for every kind of table
	pos   position
	raw   string // as written; empty for lists and tables
	str   string
	num   int64
	flag  bool
	list  []*value
	keys  []string // of a table, in order
	table map[string]*value
	keyAt position // place of its first key
	head  bool     // a table with its own header
	made  maker    // of a table
}

// maker is what makes a table. TOML lets only the same add to it, apart from a few
// exceptions.
type maker int

const (
	braces maker = iota // an inline table, which is complete
	header              // a [header], of it or of a table in it
	dots                // the dots of a key
)

func newTable(at position, by maker) *value {
	return &value{kind: unstable.Table, pos: at, keyAt: at, table: map[string]*value{}, made: by}
}

// set adds a member, unless the name has one already. It returns the member of that
// name.
func (v *value) set(name string, member *value) *value {
	if old, ok := v.table[name]; ok {
		return old
	}
	v.keys = append(v.keys, name)
	v.table[name] = member
	return member
}

// document builds the tree of one file.
type document struct {
	file     string
	lines    []int // offsets of the lines' first bytes
	parser   unstable.Parser
	huge     bool // a number does not fit, which breaks the rule of every key
	doubtful bool // the decoder must say whether this is TOML
	problems Problems
}

// parseTOML returns the tree of a file and its mistakes as TOML. After a syntax error
// the tree holds the part before it. A key that is defined twice has its first value;
// a number that is too large becomes the largest.
func parseTOML(file string, data []byte) (root *value, partial bool, problems Problems) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	d := &document{file: file, lines: []int{0}}
	for i, c := range data {
		if c == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	root = newTable(position{1, 1}, header)
	at := root
	d.parser.Reset(data)
	for d.parser.NextExpression() {
		switch e := d.parser.Expression(); e.Kind {
		case unstable.Table:
			at = d.header(root, e)
		case unstable.ArrayTable:
			at = d.arrayHeader(root, e)
		case unstable.KeyValue:
			d.keyValue(at, e)
		}
	}
	d.strict(data)
	return root, d.parser.Error() != nil, d.problems
}

// strict lets the decoder describe a syntax error, and find the mistakes that neither
// the parser nor the tree does: tables defined in two ways, dates that do not exist. The
// decoder takes time that is quadratic in the number of tables, so it decodes only
// doubtful files. It reports only its first mistake; in a file with a number that is too
// large or a key that is defined twice, that mistake is already known.
func (d *document) strict(data []byte) {
	if d.parser.Error() == nil && (!d.doubtful || d.huge || len(d.problems) > 0) {
		return
	}
	var into map[string]any
	err := toml.Unmarshal(data, &into)
	if err == nil {
		return
	}
	p := Problem{File: d.file, Msg: strings.TrimPrefix(err.Error(), "toml: ")}
	if de, ok := errors.AsType[*toml.DecodeError](err); ok {
		p.Line, p.Col = de.Position()
		if key := d.lacksValue(data, p.Line); key != "" {
			p.Msg = fmt.Sprintf("%s has no value; write one after the \"=\", or put a # before the line", key)
		}
	}
	d.problems = append(d.problems, p)
}

// lacksValue returns the key of a line with nothing after its "=".
func (d *document) lacksValue(data []byte, line int) string {
	if line < 1 || line > len(d.lines) {
		return ""
	}
	text, _, _ := strings.Cut(string(data[d.lines[line-1]:]), "\n")
	key, rest, ok := strings.Cut(text, "=")
	rest, _, _ = strings.Cut(rest, "#")
	if key = strings.TrimSpace(key); !ok || strings.TrimSpace(rest) != "" || unprintable(key) != "" {
		return ""
	}
	return key
}

// header finds or makes the table of a [header].
func (d *document) header(root *value, e *unstable.Node) *value {
	table, names := d.descend(root, e.Key())
	if table.head {
		d.twice(names, d.keyPos(e.Key()), table.keyAt)
	} else if table.kind == unstable.Table {
		table.head, table.keyAt = true, d.keyPos(e.Key())
	}
	return table
}

// arrayHeader handles a [[header]], which no key of iris allows: its content is
// dropped.
func (d *document) arrayHeader(root *value, e *unstable.Node) *value {
	d.doubtful = true
	parent, last, at := d.parent(root, e.Key(), header)
	parent.set(last, &value{kind: unstable.Array, pos: at, keyAt: at})
	return newTable(at, header)
}

func (d *document) keyValue(in *value, e *unstable.Node) {
	parent, last, at := d.parent(in, e.Key(), dots)
	v := d.value(e.Value(), at)
	if old := parent.set(last, v); old != v {
		d.twice([]string{last}, at, old.keyAt)
	}
}

// parent follows all but the last part of a key and makes the missing tables.
func (d *document) parent(v *value, key unstable.Iterator, by maker) (parent *value, last string, at position) {
	for key.Next() {
		n := key.Node()
		last, at = string(n.Data), d.position(n)
		if key.IsLast() {
			break
		}
		v = d.enter(v, last, at, by)
	}
	return v, last, at
}

// descend follows all parts of the key of a header.
func (d *document) descend(v *value, key unstable.Iterator) (*value, []string) {
	var names []string
	for key.Next() {
		n := key.Node()
		names = append(names, string(n.Data))
		v = d.enter(v, string(n.Data), d.position(n), header)
	}
	return v, names
}

// enter returns the table of that name, and makes it if it is missing. If the name has
// another value, which strict reports, the content below it is dropped.
func (d *document) enter(v *value, name string, at position, by maker) *value {
	t, ok := v.table[name]
	if !ok {
		return v.set(name, newTable(at, by))
	}
	d.doubtful = d.doubtful || t.made != by
	if t.kind != unstable.Table {
		return newTable(at, by)
	}
	return t
}

func (d *document) twice(names []string, at, first position) {
	what := fmt.Sprintf("key %q", names[len(names)-1])
	switch {
	case len(names) == 2 && names[0] == "teams":
		what = fmt.Sprintf("team %q", names[1])
	case len(names) > 1:
		what = fmt.Sprintf("table %q", strings.Join(names, "."))
	}
	d.problems = append(d.problems, Problem{d.file, at.line, at.col,
		fmt.Sprintf("%s is already defined at %s:%d:%d", what, d.file, first.line, first.col)})
}

// value turns a node into a value; key is the place of its key.
func (d *document) value(n *unstable.Node, key position) *value {
	v := &value{kind: n.Kind, pos: key, keyAt: key}
	if n.Raw.Length > 0 {
		v.pos, v.raw = d.position(n), string(d.parser.Raw(n.Raw))
	}
	switch n.Kind {
	case unstable.String:
		v.str = string(n.Data)
	case unstable.Bool:
		v.flag = v.raw == "true"
	case unstable.Integer:
		num, err := strconv.ParseInt(v.raw, 0, 64) // base 0 has the forms of TOML
		v.num, d.huge = num, d.huge || err != nil
	case unstable.Array:
		for it := n.Children(); it.Next(); {
			v.list = append(v.list, d.value(it.Node(), key))
		}
	case unstable.InlineTable:
		v.kind, v.table, v.head = unstable.Table, map[string]*value{}, true
		for it := n.Children(); it.Next(); {
			d.keyValue(v, it.Node())
		}
	default: // a float, a date or a time, which no key of iris allows
		d.doubtful = true
	}
	return v
}

// keyPos is the place of a key.
func (d *document) keyPos(key unstable.Iterator) position {
	key.Next()
	return d.position(key.Node())
}

func (d *document) position(n *unstable.Node) position {
	offset := int(n.Raw.Offset)
	line := sort.Search(len(d.lines), func(i int) bool { return d.lines[i] > offset })
	return position{line, offset - d.lines[line-1] + 1}
}
