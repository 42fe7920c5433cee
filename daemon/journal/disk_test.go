package journal

import (
	"bytes"
	"encoding/hex"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// call is one system call of a trace: a change of the disk, or a line of output.
type call struct {
	name string
	path string // of the descriptor, or the name given
	to   string // second name, of linkat
	data []byte
	off  int64 // offset, or size
}

var (
	unfinished = regexp.MustCompile(`^(\d+) +(.*) <unfinished \.\.\.>$`)
	resumed    = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>(.*)$`)
	parsed     = regexp.MustCompile(`^\d+ +(\w+)\((.*)\) += (-?\d+)`)
	quoted     = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"`)
	fdPath     = regexp.MustCompile(`^(\d+)<((?:\\x[0-9a-f]{2})*)`)
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		panic(err)
	}
	return b
}

// readTrace returns the calls below dir that succeeded, and the output on descriptor
// 1, in order.
func readTrace(t *testing.T, trace []byte, dir string) (calls []call) {
	t.Helper()
	half := map[string]string{}
	for line := range strings.Lines(string(trace)) {
		line = strings.TrimSuffix(line, "\n")
		if m := unfinished.FindStringSubmatch(line); m != nil {
			half[m[1]] = m[1] + " " + m[2]
			continue
		}
		if m := resumed.FindStringSubmatch(line); m != nil {
			line = half[m[1]] + m[2]
		}
		m := parsed.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(m[3], "-") {
			continue
		}
		if c, ok := parseCall(m[1], m[2]); ok && (c.name == "say" || strings.HasPrefix(c.path, dir)) {
			calls = append(calls, c)
		}
	}
	return calls
}

func parseCall(name, args string) (call, bool) {
	c := call{name: name}
	strs := quoted.FindAllStringSubmatch(args, -1)
	if m := fdPath.FindStringSubmatch(args); m != nil {
		c.path = string(unhex(m[2]))
		if name == "write" && m[1] == "1" {
			c.name = "say"
		}
	} else if len(strs) > 0 {
		c.path = string(unhex(strs[0][1]))
	}
	last := args[strings.LastIndex(args, " ")+1:]
	switch name {
	case "openat":
		return c, strings.Contains(args, "O_CREAT")
	case "write", "pwrite64":
		c.data = unhex(strs[0][1])
		c.off, _ = strconv.ParseInt(last, 10, 64)
	case "ftruncate":
		c.off, _ = strconv.ParseInt(last, 10, 64)
	case "linkat", "renameat", "renameat2":
		c.to = string(unhex(strs[1][1]))
	}
	return c, true
}

// disk is a file system that keeps synced data, and knows which data is not synced.
type disk struct {
	names   map[string]*inode // as running programs see it
	kept    map[string]*inode // as it is after a power cut
	pending []entry
}

type inode struct {
	dir        bool
	live, kept []byte
	pending    []call
}

// entry is a change of a directory that is not synced.
type entry struct {
	path string
	ino  *inode // nil when it was removed
}

func newDisk() *disk { return &disk{names: map[string]*inode{}, kept: map[string]*inode{}} }

// loadDisk is a disk with everything below dir synced.
func loadDisk(t *testing.T, dir string) *disk {
	d := newDisk()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		ino := &inode{dir: e.IsDir()}
		if !ino.dir {
			if ino.live, err = os.ReadFile(path); err != nil {
				return err
			}
			ino.kept = slices.Clone(ino.live)
		}
		d.names[path], d.kept[path] = ino, ino
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *disk) name(path string, ino *inode) {
	d.pending = append(d.pending, entry{path, ino})
	set(d.names, path, ino)
}

func set(names map[string]*inode, path string, ino *inode) {
	if ino == nil {
		delete(names, path)
		return
	}
	names[path] = ino
}

func (d *disk) apply(c call) {
	ino := d.names[c.path]
	switch c.name {
	case "openat":
		if ino == nil {
			d.name(c.path, &inode{})
		}
	case "mkdirat":
		d.name(c.path, &inode{dir: true})
	case "unlinkat":
		d.name(c.path, nil)
	case "linkat":
		d.name(c.to, ino)
	case "renameat", "renameat2":
		d.name(c.to, ino)
		d.name(c.path, nil)
	case "fsync", "fdatasync":
		d.sync(c.path, ino)
	case "write":
		c.off = int64(len(ino.live))
		fallthrough
	case "pwrite64", "ftruncate":
		ino.live = c.on(ino.live)
		ino.pending = append(ino.pending, c)
	}
}

func (d *disk) sync(path string, ino *inode) {
	if ino != nil && !ino.dir {
		ino.kept, ino.pending = slices.Clone(ino.live), nil
		return
	}
	d.pending = slices.DeleteFunc(d.pending, func(e entry) bool {
		if filepath.Dir(e.path) != path {
			return false
		}
		set(d.kept, e.path, e.ino)
		return true
	})
}

// on returns b with the write done.
func (c call) on(b []byte) []byte {
	if c.name == "ftruncate" {
		if int(c.off) <= len(b) {
			return b[:c.off]
		}
		return append(b, make([]byte, int(c.off)-len(b))...)
	}
	end := int(c.off) + len(c.data)
	if end > len(b) {
		b = append(b, make([]byte, end-len(b))...)
	}
	copy(b[c.off:], c.data)
	return b
}

// cut says what becomes of data that is not synced.
type cut struct {
	name string
	keep func() bool // of each sector of 512 bytes, or entry
}

var cuts = []cut{
	{"killed", func() bool { return true }},
	{"power cut, nothing unsynced kept", func() bool { return false }},
	{"power cut, half of it kept", func() bool { return rand.N(2) == 0 }},
	{"power cut, most of it kept", func() bool { return rand.N(10) > 0 }},
}

// write makes the disk, as it is after the cut, in another directory.
func (d *disk) write(t *testing.T, from, to string, how cut) {
	t.Helper()
	names := maps.Clone(d.kept)
	for _, e := range d.pending {
		if how.keep() {
			set(names, e.path, e.ino)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(names)) {
		ino, at := names[path], to+strings.TrimPrefix(path, from)
		if ino.dir {
			os.Mkdir(at, 0o700)
			continue
		}
		b := ino.after(how)
		if err := writeSparse(at, b); err != nil && !os.IsNotExist(err) { // else its directory is lost
			t.Fatal(err)
		}
	}
}

// writeSparse writes a file without the zeros at its end.
func writeSparse(path string, b []byte) error {
	var zeros [4096]byte
	short := b
	for bytes.HasSuffix(short, zeros[:]) {
		short = short[:len(short)-len(zeros)]
	}
	if err := os.WriteFile(path, short, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, int64(len(b)))
}

// after is the content after a cut: each unsynced sector is there or not.
func (i *inode) after(how cut) []byte {
	b := slices.Clone(i.kept)
	for _, c := range i.pending {
		if c.name == "ftruncate" {
			if how.keep() {
				b = c.on(b)
			}
			continue
		}
		for part := range slices.Chunk(c.data, 512) {
			if how.keep() {
				b = call{name: "pwrite64", data: part, off: c.off}.on(b)
			}
			c.off += int64(len(part))
		}
	}
	return b
}
